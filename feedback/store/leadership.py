"""One leader among schedulers: a session-level advisory lock that dies with its connection."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_LEADER_LOCK = 7_203_943


class Leadership:
    """Holds the lock on a connection of its own; PostgreSQL frees it when the process dies."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None

    @property
    def leading(self) -> bool:
        """Whether this process led when it last looked."""
        return self._connection is not None

    async def hold(self) -> bool:
        """Takes the lock, or checks that it is still held.

        Returns:
            Whether this process leads now.
        """
        if self._connection is not None:
            try:
                await self._connection.execute(text("select 1"))
            except DBAPIError:
                await self.release()
            return self._connection is not None
        connection = await self._take()
        self._connection = connection
        return connection is not None

    async def _take(self) -> AsyncConnection | None:
        """Returns a connection that holds the lock, None when another process does."""
        connection: AsyncConnection | None = None
        taken = False
        try:
            connection = await self._engine.connect()
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = bool(
                await connection.scalar(
                    text("select pg_try_advisory_lock(:key)"), {"key": _LEADER_LOCK}
                )
            )
        except DBAPIError:
            taken = False
        if connection is not None and not taken:
            await _discard(connection)
        return connection if taken else None

    async def release(self) -> None:
        """Gives the lock up."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await _discard(connection)


async def _discard(connection: AsyncConnection) -> None:
    """Ends the session itself: whatever lock it holds must not come back from the pool."""
    await connection.invalidate()
    await connection.close()
