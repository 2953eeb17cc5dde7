"""Pure parts of the sandbox."""
