"""One leader among schedulers: a session-level advisory lock that dies with its connection."""

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from feedback.store.tables.operations import leader

_LEADER_LOCK = 7_203_943


class Leadership:
    """Holds the lock on a connection of its own; PostgreSQL frees it when the process dies."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._term: int | None = None

    @property
    def term(self) -> int | None:
        """The number of this leadership, kept when it is lost: what it writes then is refused.

        A process that was stopped for a while still believes that it leads; the term that a
        younger leader has taken since is larger.
        """
        return self._term

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
            if taken:
                await self._new_term(connection)
        except DBAPIError:
            taken = False
        if connection is not None and not taken:
            await _discard(connection)
        return connection if taken else None

    async def _new_term(self, connection: AsyncConnection) -> None:
        self._term = await connection.scalar(
            upsert(leader)
            .values(id=1, term=1)
            .on_conflict_do_update(index_elements=["id"], set_={"term": leader.c.term + 1})
            .returning(leader.c.term)
        )

    async def release(self) -> None:
        """Gives the lock up."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await _discard(connection)


async def _discard(connection: AsyncConnection) -> None:
    """Ends the session itself: whatever lock it holds must not come back from the pool."""
    await connection.invalidate()
    await connection.close()
