"""One real PostgreSQL for the whole run; every test that asks gets a database of its own."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from feedback.store.embedded import EmbeddedPostgres
from feedback.store.migrate import upgrade
from feedback.store.unit_of_work import Store

_TEMPLATE = "understudy_template"

# The same examples on every machine: a run says something about the change, not about luck. Look
# for new ones with `make test ARGS="--hypothesis-profile=explore tests/unit"`.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=3_000, deadline=None)
settings.load_profile("steady")


@dataclass(frozen=True, kw_only=True)
class TestDatabases:
    """Makes databases of the project's schema by copying a template, in about 50 ms each."""

    __test__ = False

    server_url: str
    numbers: Iterator[int]

    def create(self) -> str:
        """Returns the SQLAlchemy URL of a fresh database."""
        name = f"test_{next(self.numbers)}"
        self._run(f"create database {name} template {_TEMPLATE} strategy wal_log")
        return self.server_url.replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> None:
        """Drops a database, whoever is still connected."""
        name = url.partition("/test_")[2].partition("?")[0]
        self._run(f"drop database test_{name} with (force)")

    def _run(self, statement: str) -> None:
        url = self.server_url.replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def databases() -> Iterator[TestDatabases]:
    """A running PostgreSQL with an empty schema as template."""
    # The socket's path must stay short, so no pytest folder.
    folder = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
    with EmbeddedPostgres(folder / "pg") as server:
        template = server.start(_TEMPLATE)
        upgrade(template)
        yield TestDatabases(
            server_url=template.replace(f"/{_TEMPLATE}?", "/postgres?"), numbers=count(1)
        )
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(databases: TestDatabases) -> Iterator[str]:
    """URL of a fresh database with the project's schema."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store on a fresh database."""
    opened = Store.connect(database_url)
    yield opened
    await opened.close()
