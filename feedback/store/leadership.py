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

    async def hold(self) -> bool:
        """Takes the lock, or checks that it is still held.

        Returns:
            Whether this process leads now.
        """
        try:
            if self._connection is not None:
                await self._connection.execute(text("select 1"))
                return True
            connection = await self._engine.connect()
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = await connection.scalar(
                text("select pg_try_advisory_lock(:key)"), {"key": _LEADER_LOCK}
            )
        except DBAPIError:
            await self.release()
            return False
        if not taken:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def release(self) -> None:
        """Gives the lock up."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.invalidate()
            await connection.close()
