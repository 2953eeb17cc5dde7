"""View models, charts and the guard, without a database."""
