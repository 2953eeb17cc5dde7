"""Engines: one async engine per process, made by a composition root and closed by it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from feedback.errors import ConfigurationError, UnavailableError

_SCHEMES = ("postgresql+psycopg://", "postgresql://", "postgres://")


def normalise_url(url: str) -> str:
    """Returns `url` with the psycopg 3 driver named.

    Raises:
        ConfigurationError: When the URL is not PostgreSQL's.
    """
    for scheme in _SCHEMES:
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    raise ConfigurationError(
        f"DATABASE_URL of scheme {url.partition(':')[0]!r} is not PostgreSQL; "
        "use postgresql://user@host/name"
    )


def make_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Returns an engine; nothing connects before its first use."""
    return create_async_engine(
        normalise_url(url), pool_size=pool_size, max_overflow=5, pool_pre_ping=True
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end of the block, rolled back when it raises.

    Raises:
        UnavailableError: When the database cannot be reached or dropped the connection.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except OperationalError as exc:
        raise UnavailableError(
            f"database unavailable: {exc.orig}; check DATABASE_URL and that PostgreSQL runs"
        ) from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise UnavailableError(f"database connection lost: {exc.orig}") from exc
        raise
