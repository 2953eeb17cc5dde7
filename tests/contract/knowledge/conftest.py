"""One contract for two repositories; the PostgreSQL one works in a transaction rolled back."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from feedback.knowledge.repository import KnowledgeRepository
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.testing import InMemoryKnowledgeRepository
from tests.conftest import TestDatabases


@pytest.fixture(scope="session")
def knowledge_url(databases: TestDatabases) -> Iterator[str]:
    url = databases.create()
    yield url
    databases.drop(url)


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
