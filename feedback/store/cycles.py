"""Cycles, requests for them, and the hash-chained audit trail."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.audit import AuditEntry
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.errors import ConflictError
from feedback.store.tables.base import to_domain
from feedback.store.tables.operations import audit, cycle_requests, cycles, switches

_AUDIT_LOCK = 7_203_942
_GENESIS = "0" * 64
SCHEDULER_LOOKED_AT = "scheduler_looked_at"
"""Switch that holds when (on its clock) the scheduler last finished a look: its pulse."""
NEXT_CYCLE_AT = "next_cycle_at"
"""Switch that holds when the schedule next starts a cycle, if there is room for one then."""


def audit_hash(prev_hash: str, entry: Mapping[str, Any]) -> str:
    """Returns the sha256 that chains one audit entry to the one before it."""
    canonical = json.dumps(entry, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256((prev_hash + canonical).encode()).hexdigest()


class SqlAudit:
    """Append-only; a changed or removed row breaks the chain."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(
        self,
        *,
        subject: str,
        from_state: str,
        to_state: str,
        actor: str,
        reason: str,
        at: datetime,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds one entry; concurrent writers queue on an advisory lock until they commit."""
        await self._connection.execute(
            text("select pg_advisory_xact_lock(:key)"), {"key": _AUDIT_LOCK}
        )
        previous = await self._connection.scalar(
            select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
        )
        entry = {
            "subject": subject,
            "from_state": from_state,
            "to_state": to_state,
            "actor": actor,
            "reason": reason,
            "data": dict(data or {}),
            "at": at.isoformat(),
        }
        prev_hash = previous or _GENESIS
        await self._connection.execute(
            insert(audit).values(
                prev_hash=prev_hash, hash=audit_hash(prev_hash, entry), **{**entry, "at": at}
            )
        )

    async def verify(self) -> int:
        """Checks the whole chain.

        Returns:
            How many entries it holds.

        Raises:
            ConflictError: At the first entry that does not fit the one before it.
        """
        previous, count = _GENESIS, 0
        for row in (await self._connection.execute(select(audit).order_by(audit.c.id))).mappings():
            entry = {
                key: row[key]
                for key in ("subject", "from_state", "to_state", "actor", "reason", "data")
            }
            entry["at"] = row["at"].isoformat()
            if row["prev_hash"] != previous or row["hash"] != audit_hash(previous, entry):
                raise ConflictError(f"audit entry {row['id']} was changed or one before it removed")
            previous, count = row["hash"], count + 1
        return count

    async def entries(
        self, *, subject: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditEntry]:
        """Returns entries, newest first.

        Args:
            subject: Only what happened to this subject.
            before: Only entries older than this id, for paging.
            limit: Most entries to return.
        """
        statement = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if subject is not None:
            statement = statement.where(audit.c.subject == subject)
        if before is not None:
            statement = statement.where(audit.c.id < before)
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(AuditEntry, row) for row in rows]


class SqlCycles:
    """Cycle rows; a transition is one compare-and-set."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open_cycles(self) -> list[Cycle]:
        """Returns the cycles that are not over, oldest first: one at work at most."""
        statement = (
            select(cycles)
            .where(cycles.c.ended_at.is_(None))
            .order_by(cycles.c.started_at, cycles.c.id)
        )
        return [_cycle(row) for row in (await self._connection.execute(statement)).mappings()]

    async def at_work(self) -> Cycle | None:
        """Returns the cycle that makes an adapter, if any; those on stage have made theirs."""
        return next((cycle for cycle in await self.open_cycles() if cycle.at_work), None)

    async def get(self, cycle_id: str) -> Cycle | None:
        """Returns one cycle."""
        statement = select(cycles).where(cycles.c.id == cycle_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return _cycle(row) if row else None

    async def latest(self, limit: int = 20) -> list[Cycle]:
        """Returns the newest cycles first."""
        statement = select(cycles).order_by(cycles.c.started_at.desc()).limit(limit)
        return [_cycle(row) for row in (await self._connection.execute(statement)).mappings()]

    async def start(self, cycle: Cycle) -> None:
        """Opens a cycle; the database refuses a second one that is at work."""
        values = {**asdict(cycle), "options": asdict(cycle.options)}
        await self._connection.execute(insert(cycles).values(**values))

    async def advance(self, before: Cycle, after: Cycle) -> None:
        """Stores `after` if nobody moved the cycle since `before` was read.

        Raises:
            ConflictError: When somebody did.
        """
        done = await self._connection.execute(
            update(cycles)
            .where(cycles.c.id == before.id, cycles.c.version == before.version)
            .values(
                state=after.state,
                version=before.version + 1,
                context=dict(after.context),
                outcome=after.outcome,
                gate=after.gate,
                reason=after.reason,
                updated_at=after.updated_at,
                ended_at=after.ended_at,
            )
        )
        if done.rowcount != 1:
            raise ConflictError(f"cycle {before.id} moved on from version {before.version}")

    async def request(self, requested_by: str, options: CycleOptions, at: datetime) -> int:
        """Asks the scheduler for a cycle; returns the request's id."""
        request_id = await self._connection.scalar(
            insert(cycle_requests)
            .values(requested_by=requested_by, options=asdict(options), created_at=at)
            .returning(cycle_requests.c.id)
        )
        return int(request_id or 0)

    async def next_request(self) -> tuple[int, str, CycleOptions] | None:
        """Returns the oldest request nobody took: (id, who asked, options)."""
        statement = (
            select(cycle_requests)
            .where(cycle_requests.c.cycle_id.is_(None))
            .order_by(cycle_requests.c.id)
            .limit(1)
        )
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            return None
        return row["id"], row["requested_by"], CycleOptions.from_row(row["options"])

    async def drop_overtaken(self, places: int = 1) -> list[tuple[int, str, CycleOptions]]:
        """Takes requests to try an adapter out of the queue when newer ones wait for its place.

        Args:
            places: How many may be tried next.

        Returns:
            What was taken out: (id, who asked, options), oldest first.
        """
        tries = (cycle_requests.c.cycle_id.is_(None)) & (
            func.coalesce(cycle_requests.c.options["adapter_id"].astext, "") != ""
        )
        newest = (
            select(cycle_requests.c.id)
            .where(tries)
            .order_by(cycle_requests.c.id.desc())
            .limit(places)
        )
        dropped = await self._connection.execute(
            delete(cycle_requests)
            .where(tries, cycle_requests.c.id.not_in(newest))
            .returning(cycle_requests.c.id, cycle_requests.c.requested_by, cycle_requests.c.options)
        )
        found = [(row.id, row.requested_by, CycleOptions.from_row(row.options)) for row in dropped]
        return sorted(found, key=lambda request: request[0])

    async def take_request(self, request_id: int, cycle_id: str) -> None:
        """Marks a request as served by a cycle."""
        await self._connection.execute(
            update(cycle_requests)
            .where(cycle_requests.c.id == request_id)
            .values(cycle_id=cycle_id)
        )

    async def request_cycle(self, request_id: int) -> str | None:
        """Returns the cycle that served a request, None while it waits."""
        cycle_id: str | None = await self._connection.scalar(
            select(cycle_requests.c.cycle_id).where(cycle_requests.c.id == request_id)
        )
        return cycle_id

    async def last_scheduled(self) -> datetime | None:
        """Returns when the schedule last started a cycle."""
        moment: datetime | None = await self._connection.scalar(
            select(cycles.c.started_at)
            .where(cycles.c.trigger == "schedule")
            .order_by(cycles.c.started_at.desc())
            .limit(1)
        )
        return moment


class SqlSwitches:
    """The operator's brakes, by name (`frozen`)."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def set(self, name: str, value: str, *, by: str, at: datetime) -> None:
        """Sets one switch."""
        await self._connection.execute(
            text(
                "insert into switches (name, value, set_by, set_at)"
                " values (:name, :value, :by, :at)"
                " on conflict (name) do update set value = :value, set_by = :by, set_at = :at"
            ),
            {"name": name, "value": value, "by": by, "at": at},
        )

    async def get(self, name: str) -> str | None:
        """Returns a switch's value, None when it was never set."""
        value: str | None = await self._connection.scalar(
            select(switches.c.value).where(switches.c.name == name)
        )
        return value


def _cycle(row: RowMapping) -> Cycle:
    return Cycle(
        id=row["id"],
        state=CycleState(row["state"]),
        version=row["version"],
        trigger=row["trigger"],
        requested_by=row["requested_by"],
        options=CycleOptions.from_row(row["options"]),
        context=row["context"],
        outcome=CycleOutcome(row["outcome"]) if row["outcome"] else None,
        gate=row["gate"],
        reason=row["reason"],
        started_at=row["started_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
    )
