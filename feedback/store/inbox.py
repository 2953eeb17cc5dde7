"""The inbox: deliveries committed before they are acknowledged, claimed by workers under leases."""

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    FromClause,
    Interval,
    Select,
    Text,
    Tuple,
    Update,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from feedback.domain.delivery import Delivery, InboxRow, Waiting
from feedback.domain.workspace import WorkspaceState
from feedback.store.tables.base import to_domain
from feedback.store.tables.inbox import inbox
from feedback.store.tables.workspaces import workspaces

OPEN = ("ready", "leased")
_EMPTY: dict[str, str] = {}


class SqlInbox:
    """Inbox rows; one instance per transaction. Leases run on the database's clock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, delivery: Delivery) -> int | None:
        """Stores a delivery once.

        Returns:
            The row's id, or None when this delivery (or its twin) is stored already.
        """
        values = {
            "event_id": delivery.event_id,
            "question_key": delivery.question_key,
            "thread_key": delivery.thread_key,
            "team": delivery.team,
            "type": delivery.type,
            "payload": dict(delivery.payload),
            "state": "ready" if delivery.parsed else "unparsed",
            "urgent": delivery.urgent,
            "defer": timedelta(seconds=delivery.defer_s),
        }
        number: int | None = await self._connection.scalar(_ADD, values)
        return number

    async def claim(
        self, owner: str, *, lease_s: float, limit: int = 1, urgent: bool = False
    ) -> list[InboxRow]:
        """Leases the oldest rows that may be worked on now, never two of one thread.

        Args:
            owner: Name of the worker; only it can complete the rows while the lease lasts.
            lease_s: Seconds after which another worker may take over.
            limit: Most rows to take.
            urgent: Only what must not wait for a free worker.
        """
        rows = await self._connection.execute(
            _CLAIM[urgent],
            {"owner": owner, "lease": timedelta(seconds=lease_s), "most": limit},
        )
        return sorted((to_domain(InboxRow, row) for row in rows.mappings()), key=lambda row: row.id)

    async def renew(self, row: InboxRow, *, lease_s: float) -> bool:
        """Extends the lease; False when another worker took the row over."""
        return await self._held(row, _RENEW, lease=timedelta(seconds=lease_s))

    async def complete(self, row: InboxRow) -> bool:
        """Closes a row and forgets its content; False when another worker took it over."""
        return await self._held(row, _COMPLETE)

    async def finish(self, row_id: int) -> bool:
        """Closes a row that a listener handled at once; False when a worker took it before."""
        result = await self._connection.execute(
            update(inbox)
            .where(inbox.c.id == row_id, inbox.c.state == "ready")
            .values(state="done", done_at=func.clock_timestamp(), payload=_EMPTY)
        )
        return result.rowcount == 1

    async def retry(self, row: InboxRow, *, error: str, delay_s: float) -> bool:
        """Gives the row back, claimable again after `delay_s`."""
        return await self._change(row, _given_back(error, delay_s))

    async def postpone(self, row: InboxRow, *, error: str, delay_s: float) -> bool:
        """Gives the row back as `retry` does, and this attempt does not count."""
        uncounted = {"attempts": inbox.c.attempts - 1}
        return await self._change(row, _given_back(error, delay_s) | uncounted)

    async def park(self, row: InboxRow, *, error: str) -> bool:
        """Lays the row aside until its workspace is installed again; the attempt does not count.

        A workspace that is installed meanwhile gets its row back at once.
        """
        state = await self._connection.scalar(
            select(workspaces.c.state)
            .where(workspaces.c.team == row.team)
            .with_for_update(read=True)
        )
        installed = state == WorkspaceState.INSTALLED.value
        return await self._change(
            row,
            {
                "state": "ready" if installed else "parked",
                "error": error,
                "lease_owner": None,
                "lease_until": None,
                "attempts": inbox.c.attempts - 1,
            },
        )

    async def give_up(self, row: InboxRow, *, error: str) -> bool:
        """Closes a row that failed for good; its content stays for people to look at."""
        return await self._change(
            row, {"state": "failed", "error": error, "done_at": func.clock_timestamp()}
        )

    async def withdraw(self, question_key: str) -> bool:
        """Drops a question that nobody works on yet; False when a worker has it in hand.

        One that has not even come is dropped as well: its late arrival is a duplicate then.
        """
        rows = await self._connection.execute(
            select(inbox.c.id, inbox.c.state)
            .where(inbox.c.question_key == question_key)
            .with_for_update()
        )
        row = rows.first()
        if row is None:
            return await self._connection.scalar(_NEVER, {"key": question_key}) is not None
        if row.state not in OPEN:
            return True
        if row.state == "leased":
            return False
        await self.finish(row.id)
        return True

    async def revise(self, question_key: str, text: str, *, edited_ts: str) -> Waiting:
        """Replaces the text of a question that nobody works on yet; the newest edit wins."""
        rows = await self._connection.execute(
            select(inbox.c.id, inbox.c.state, inbox.c.payload)
            .where(inbox.c.question_key == question_key)
            .with_for_update()
        )
        row = rows.first()
        if row is None:
            return Waiting.UNKNOWN
        if row.state != "ready":
            return Waiting.IN_HAND if row.state == "leased" else Waiting.CLOSED
        body = row.payload["body"]
        event = body["event"]
        if str((event.get("edited") or {}).get("ts") or "") < edited_ts:
            event = {**event, "text": text, "edited": {"ts": edited_ts}}
            payload = {**row.payload, "body": {**body, "event": event}}
            await self._connection.execute(
                update(inbox).where(inbox.c.id == row.id).values(payload=payload)
            )
        return Waiting.REVISED

    async def open_count(self) -> int:
        """Returns how many rows wait or are being worked on."""
        return int(
            await self._connection.scalar(
                select(func.count()).select_from(inbox).where(inbox.c.state.in_(OPEN))
            )
            or 0
        )

    async def _change(self, row: InboxRow, values: dict[str, object]) -> bool:
        return await self._held(row, _HELD.values(**values))

    async def _held(self, row: InboxRow, change: Update, **values: object) -> bool:
        lease = {"row_id": row.id, "holder": row.lease_owner, "attempt": row.attempts}
        result = await self._connection.execute(change, lease | values)
        return result.rowcount == 1


def _claimable() -> Select[tuple[int]]:
    other = inbox.alias("other")
    blocked = exists().where(
        other.c.thread_key == inbox.c.thread_key,
        other.c.id != inbox.c.id,
        # Literals, so that the planner can prove the partial index.
        other.c.state.in_([_literal(state) for state in OPEN]),
        or_(
            _turn(other) < _turn(inbox),
            and_(
                other.c.state == _literal("leased"),
                other.c.lease_until >= func.clock_timestamp(),
            ),
        ),
    )
    return (
        select(inbox.c.id)
        .where(
            inbox.c.state.in_([_literal(state) for state in OPEN]),
            inbox.c.available_at <= func.clock_timestamp(),
            or_(
                inbox.c.state == _literal("ready"),
                and_(
                    inbox.c.state == _literal("leased"),
                    inbox.c.lease_until < func.clock_timestamp(),
                ),
            ),
            or_(inbox.c.thread_key.is_(None), ~blocked),
        )
        .order_by(inbox.c.id)
        .with_for_update(skip_locked=True, of=inbox)
    )


def _given_back(error: str, delay_s: float) -> dict[str, object]:
    return {
        "state": "ready",
        "error": error,
        "lease_owner": None,
        "lease_until": None,
        "available_at": func.clock_timestamp() + _seconds(delay_s),
    }


def _turn(row: FromClause) -> Tuple:
    """A row's place in its thread: as asked, not as delivered; question keys end with the ts."""
    return tuple_(func.coalesce(row.c.question_key, ""), row.c.id)


# What every question needs is built once: putting a statement together costs more than sending it.
_ADD = (
    insert(inbox)
    .values(
        available_at=func.clock_timestamp() + bindparam("defer", type_=Interval),
        received_at=func.clock_timestamp(),
    )
    .on_conflict_do_nothing()
    .returning(inbox.c.id)
)

_NEVER = (
    insert(inbox)
    .values(
        event_id=literal("deleted:") + bindparam("key", type_=Text),
        question_key=bindparam("key", type_=Text),
        team=func.split_part(bindparam("key", type_=Text), ":", 1),
        type="message",
        payload=_EMPTY,
        state="done",
        available_at=func.clock_timestamp(),
        received_at=func.clock_timestamp(),
        done_at=func.clock_timestamp(),
    )
    .on_conflict_do_nothing()
    .returning(inbox.c.id)
)
"""The place of a question that was deleted before it came."""

_HELD = update(inbox).where(
    inbox.c.id == bindparam("row_id"),
    inbox.c.state == "leased",
    inbox.c.lease_owner == bindparam("holder"),
    inbox.c.attempts == bindparam("attempt"),
)
_LEASED_UNTIL = func.clock_timestamp() + bindparam("lease", type_=Interval)
_RENEW = _HELD.values(lease_until=_LEASED_UNTIL)
_COMPLETE = _HELD.values(state="done", done_at=func.clock_timestamp(), payload=_EMPTY, error=None)


def _claim(*, urgent: bool) -> ReturningUpdate[Any]:
    claimable = _claimable()
    if urgent:
        claimable = claimable.where(inbox.c.urgent)
    return (
        update(inbox)
        .where(inbox.c.id.in_(claimable.limit(bindparam("most"))))
        .values(
            state="leased",
            lease_owner=bindparam("owner"),
            lease_until=_LEASED_UNTIL,
            attempts=inbox.c.attempts + 1,
        )
        .returning(inbox)
    )


def _literal(value: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  (private SQL type)
    return bindparam(None, value, literal_execute=True)


def _seconds(value: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return cast(timedelta(seconds=value), Interval)


_CLAIM = {urgent: _claim(urgent=urgent) for urgent in (False, True)}
