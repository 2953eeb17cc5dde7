"""One real PostgreSQL for the session; every test's transaction is rolled back."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from feedback.knowledge.repository import KnowledgeRepository
from feedback.store.embedded import EmbeddedPostgres
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.tables import metadata
from feedback.testing import InMemoryKnowledgeRepository


@pytest.fixture(scope="session")
def knowledge_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("knowledge")
    with EmbeddedPostgres(folder / "postgres") as server:
        engine = create_engine(server.url)
        with engine.begin() as connection:
            connection.execute(text("create extension if not exists vector"))
            metadata.create_all(connection)
        engine.dispose()
        yield server.url


@pytest.fixture(params=["memory", "postgres"])
async def repository(
    request: pytest.FixtureRequest,
) -> AsyncIterator[KnowledgeRepository]:
    if request.param == "memory":
        yield InMemoryKnowledgeRepository()
        return
    engine = create_async_engine(request.getfixturevalue("knowledge_url"), poolclass=NullPool)
    async with engine.connect() as connection:
        yield SqlKnowledgeRepository(connection)
        await connection.rollback()
    await engine.dispose()
