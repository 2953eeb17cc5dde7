"""`understudy db`: bring the database to this version's schema, or check that it is there."""

from typing import Annotated

import typer

from feedback.errors import ConfigurationError
from feedback.settings import load_settings
from feedback.store.embedded import EmbeddedPostgres
from feedback.store.migrate import alembic_check, downgrade, require_current, upgrade

app = typer.Typer(help="The database schema.", no_args_is_help=True)


def _url() -> str:
    settings = load_settings()
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set; the embedded database migrates itself, set DATABASE_URL to "
            "work on a server of yours"
        )
    return settings.database_url.get_secret_value()


@app.command("upgrade")
def upgrade_command(
    revision: Annotated[str, typer.Argument(help="Target; the newest by default.")] = "head",
) -> None:
    """Apply the missing migrations to DATABASE_URL."""
    upgrade(_url(), revision)
    print("database is at", revision)


@app.command("downgrade")
def downgrade_command(
    revision: Annotated[str, typer.Argument(help="Target, or `base` for an empty database.")],
) -> None:
    """Take migrations back on DATABASE_URL."""
    downgrade(_url(), revision)
    print("database is at", revision)


@app.command("check")
def check_command() -> None:
    """Say whether DATABASE_URL is at this version, and models and migrations agree."""
    url = _url()
    require_current(url)
    alembic_check(url)
    print("database and models agree")


@app.command("revision", hidden=True)
def revision_command(message: str) -> None:
    """Write a migration for the difference between models and an embedded, migrated database."""
    from alembic import command  # noqa: PLC0415  (developers only)

    from feedback.store.migrate import alembic_config  # noqa: PLC0415  (developers only)

    settings = load_settings()
    with EmbeddedPostgres(settings.state_dir / "postgres-revision") as server:
        upgrade(server.url)
        command.revision(alembic_config(server.url), message=message, autogenerate=True)
