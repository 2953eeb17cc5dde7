"""Migrations and models are the same schema; every step goes up and down."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic.script import ScriptDirectory

from feedback.errors import ConfigurationError
from feedback.store.migrate import (
    alembic_check,
    alembic_config,
    downgrade,
    require_current,
    upgrade,
)
from tests.conftest import TestDatabases


@pytest.fixture
def empty_url(databases: TestDatabases) -> Iterator[str]:
    """An empty database, as an operator creates one."""
    server = databases.server_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("drop database if exists migrated")
        connection.execute("create database migrated")
    yield databases.server_url.replace("/postgres?", "/migrated?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("drop database migrated with (force)")


def test_up_check_down_up(empty_url: str) -> None:
    upgrade(empty_url)
    alembic_check(empty_url)
    require_current(empty_url)
    downgrade(empty_url, "base")
    upgrade(empty_url)
    require_current(empty_url)


def test_an_unmigrated_database_is_refused_with_the_command(empty_url: str) -> None:
    with pytest.raises(ConfigurationError, match="run `understudy db upgrade`"):
        require_current(empty_url)


def test_there_is_one_head() -> None:
    script = ScriptDirectory.from_config(alembic_config("postgresql://localhost/x"))
    assert len(script.get_heads()) == 1
