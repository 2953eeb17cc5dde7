"""Alembic migrations of the schema in `feedback.store.tables`."""
