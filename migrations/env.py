"""Alembic's entry: one transaction per migration, short lock waits, an advisory lock."""

from alembic import context
from sqlalchemy import create_engine, text

from feedback.store.engine import normalise_url
from feedback.store.tables import metadata

# Any constant: it only has to be the same for every process that migrates this database.
MIGRATION_LOCK = 7_203_941


def run() -> None:
    """Runs the migrations against the URL that `feedback.store.migrate` put into the config."""
    url = context.config.get_main_option("sqlalchemy.url")
    engine = create_engine(normalise_url(url or ""))
    with engine.connect() as connection:
        connection.execute(text("set lock_timeout = '4s'"))
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
    engine.dispose()


run()
