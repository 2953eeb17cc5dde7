"""Engines: one async engine per process, made by a composition root and closed by it."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from feedback.errors import ConfigurationError, UnavailableError

_SCHEMES = ("postgresql+psycopg://", "postgresql://", "postgres://")
POOL_SIZE = 15
"""Connections of a process, opened as they are needed."""

_FRESH_S = 1.0
"""Seconds for which a returned connection is taken to be alive."""


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


def make_engine(url: str, *, pool_size: int = POOL_SIZE) -> AsyncEngine:
    """Returns an engine; nothing connects before its first use.

    There is no overflow: a connection beyond the pool is thrown away after its use, and under load
    a new one for every other question costs more than waiting for one that is there.
    """
    engine = create_async_engine(
        normalise_url(url), pool_size=pool_size, max_overflow=0, pool_use_lifo=True
    )
    _ping_idle_connections(engine)
    event.listen(engine.sync_engine, "connect", _tuned)
    return engine


def _tuned(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Sets how well the approximate vector index searches; only a session can say so."""
    with closing(connection.cursor()) as cursor:
        cursor.execute("set hnsw.ef_search = 100; set hnsw.iterative_scan = strict_order")
    connection.commit()


def _ping_idle_connections(engine: AsyncEngine) -> None:
    """Makes sure that a connection which lay idle is alive before it is used.

    SQLAlchemy's own `pool_pre_ping` asks before every use, which costs a busy bot a sixth of its
    time. A connection that worked a moment ago is used as it is; when the server went away in
    between, the transaction fails as unavailable and is tried again like any other.
    """

    def returned(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["returned"] = time.monotonic()

    def taken(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - entry.info.get("returned", 0.0) < _FRESH_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as exc:
            raise DisconnectionError from exc  # the pool takes or makes another one

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", taken)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end of the block, rolled back when it raises.

    Raises:
        UnavailableError: When the database cannot be reached or dropped the connection.
    """
    with database_errors():
        async with engine.begin() as connection:
            yield connection


@asynccontextmanager
async def autocommitting(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection on which every statement commits by itself.

    Raises:
        UnavailableError: When the database cannot be reached or dropped the connection.
    """
    with database_errors():
        async with engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def database_errors() -> Iterator[None]:
    """Maps what the driver raises; for those who bring transactions of their own.

    Raises:
        UnavailableError: When the database cannot be reached or dropped the connection.
    """
    try:
        yield
    except OperationalError as exc:
        raise UnavailableError(
            f"database unavailable: {exc.orig}; check DATABASE_URL and that PostgreSQL runs"
        ) from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise UnavailableError(f"database connection lost: {exc.orig}") from exc
        raise
