"""The experiment engine, offline."""
