"""Where model servers run, and the one loop that makes it so."""
