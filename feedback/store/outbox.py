"""The outbox: side effects written in the transaction that decided them, performed afterwards."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Interval, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.delivery import OutboxRow
from feedback.store.tables.base import to_domain
from feedback.store.tables.inbox import outbox


class SqlOutbox:
    """Outbox rows; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: str, kind: str, payload: Mapping[str, Any]) -> bool:
        """Owes an effect once; False when the key is known already."""
        added = await self._connection.scalar(
            insert(outbox)
            .values(
                key=key,
                kind=kind,
                payload=dict(payload),
                available_at=func.clock_timestamp(),
                created_at=func.clock_timestamp(),
            )
            .on_conflict_do_nothing()
            .returning(outbox.c.id)
        )
        return added is not None

    async def claim(
        self, kinds: Sequence[str], *, lease_s: float, limit: int = 10
    ) -> list[OutboxRow]:
        """Takes the oldest open effects; they come back by themselves after `lease_s`."""
        due = (
            select(outbox.c.id)
            .where(
                outbox.c.done_at.is_(None),
                outbox.c.kind.in_(kinds),
                outbox.c.available_at <= func.clock_timestamp(),
            )
            .order_by(outbox.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = await self._connection.execute(
            update(outbox)
            .where(outbox.c.id.in_(due))
            .values(
                attempts=outbox.c.attempts + 1,
                available_at=func.clock_timestamp() + _seconds(lease_s),
            )
            .returning(outbox)
        )
        return sorted(
            (to_domain(OutboxRow, row) for row in rows.mappings()), key=lambda row: row.id
        )

    async def behind(self, row: OutboxRow) -> bool:
        """Whether an earlier effect about the same thing is still owed.

        Keys are `what:id:version`; effects of the same `what:id` are about the same thing.
        """
        same = row.key.rpartition(":")[0] + ":"
        earlier = select(outbox.c.id).where(
            outbox.c.id < row.id,
            outbox.c.done_at.is_(None),
            outbox.c.key.startswith(same, autoescape=True),
        )
        return bool(await self._connection.scalar(select(earlier.exists())))

    async def done(self, row_id: int, *, error: str | None = None) -> None:
        """Closes an effect; with `error` it was given up."""
        await self._connection.execute(
            update(outbox)
            .where(outbox.c.id == row_id)
            .values(done_at=func.clock_timestamp(), error=error)
        )

    async def retry(self, row_id: int, *, error: str, delay_s: float) -> None:
        """Lets the effect be taken again after `delay_s`."""
        await self._connection.execute(
            update(outbox)
            .where(outbox.c.id == row_id)
            .values(error=error, available_at=func.clock_timestamp() + _seconds(delay_s))
        )


def _seconds(value: float):  # type: ignore[no-untyped-def]  # noqa: ANN202  (private SQL type)
    return cast(timedelta(seconds=value), Interval)
