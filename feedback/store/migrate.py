"""Brings a database to the schema of this version, and says when it is not there."""

from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from feedback.errors import ConfigurationError, UnavailableError
from feedback.store.engine import normalise_url


def alembic_config(url: str) -> Config:
    """Returns Alembic's configuration for `url`; there is no ini file to keep in step.

    Raises:
        ConfigurationError: When the migrations are not installed beside the packages.
    """
    spec = find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the migrations package is not installed; run `make setup`")
    config = Config()
    config.set_main_option("script_location", str(Path(spec.submodule_search_locations[0])))
    config.set_main_option("sqlalchemy.url", normalise_url(url).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Applies the missing migrations.

    Raises:
        UnavailableError: When the database cannot be reached.
    """
    try:
        command.upgrade(alembic_config(url), revision)
    except OperationalError as exc:
        raise UnavailableError(
            f"database unavailable: {exc.orig}; check DATABASE_URL and that PostgreSQL runs"
        ) from exc


def require_current(url: str) -> None:
    """Refuses to work on a database of another version.

    Raises:
        ConfigurationError: When migrations are missing; names the command to run.
        UnavailableError: When the database cannot be reached.
    """
    head = ScriptDirectory.from_config(alembic_config(url)).get_current_head()
    engine = create_engine(normalise_url(url))
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except OperationalError as exc:
        raise UnavailableError(
            f"database unavailable: {exc.orig}; check DATABASE_URL and that PostgreSQL runs"
        ) from exc
    finally:
        engine.dispose()
    if current != head:
        raise ConfigurationError(
            f"the database is at revision {current or 'none'}, this version needs {head}; "
            "run `understudy db upgrade`"
        )
