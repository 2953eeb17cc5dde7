"""View models: pure functions from what the record holds to what a page shows."""
