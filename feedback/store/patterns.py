"""Patterns from run to run: the newest run's are current, the ids of the others stay taken."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping, Select, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.digest import MEASURED, WEEK, PatternCounts
from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternEvent,
    PatternKind,
    PatternStatus,
    PreviousPattern,
    Verdict,
)
from feedback.domain.tone import ToneRate, ToneWeek
from feedback.store.tables.base import to_domain
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import (
    pattern_changes,
    pattern_members,
    pattern_runs,
    patterns,
)

_LISTS = ("keywords", "verdict_reasons", "example_ids", "evidence_ids", "centroid")


class SqlPatterns:
    """Mined patterns; a run replaces the current ones in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(
        self,
        result: MiningResult,
        *,
        previous: Sequence[PreviousPattern],
        failures: int,
        embedder_id: str,
        policy: Mapping[str, Any],
        at: datetime,
        tone: ToneWeek | None = None,
    ) -> None:
        """Makes a run's patterns the current ones.

        Args:
            result: The run's.
            previous: What the run knew; what people decided since then is kept.
            failures: How many there were.
            embedder_id: The space of the centroids.
            policy: Constants of the run.
            at: When it ran.
            tone: How much of what was answered is in the house voice.
        """
        seen = {old.id: old.status for old in previous}
        stored = {
            row["id"]: row
            for row in await self._rows(
                select(patterns.c.id, patterns.c.status, patterns.c.resolved_at).with_for_update()
            )
        }
        await self._connection.execute(update(patterns).values(current=False))
        for pattern in result.patterns:
            before = stored.get(pattern.id)
            await self._put(_decided(pattern, before, seen.get(pattern.id), at), embedder_id, at)
        await self._connection.execute(
            insert(pattern_runs).values(
                failures=failures,
                patterns=len(result.patterns),
                unclustered=len(result.unclustered),
                policy=dict(policy),
                tone=None if tone is None else asdict(tone),
                created_at=at,
            )
        )
        moved = [
            {"pattern_id": c.pattern_id, "change": c.change, "other_id": c.other_id}
            for c in result.changes
            if c.change != "kept"
        ]
        if moved:
            await self._connection.execute(insert(pattern_changes).values(created_at=at), moved)

    async def _put(self, pattern: Pattern, embedder_id: str, at: datetime) -> None:
        values = asdict(pattern)
        members = values.pop("member_ids")
        values |= {"embedder_id": embedder_id, "mined_at": at, "current": True}
        await self._connection.execute(
            upsert(patterns)
            .values(**values)
            .on_conflict_do_update(index_elements=["id"], set_=values)
        )
        await self._connection.execute(
            delete(pattern_members).where(pattern_members.c.pattern_id == pattern.id)
        )
        await self._connection.execute(
            insert(pattern_members),
            [{"pattern_id": pattern.id, "interaction_id": member} for member in members],
        )

    async def current(self) -> list[Pattern]:
        """Returns the newest run's patterns, most urgent first."""
        statement = select(patterns).where(patterns.c.current).order_by(patterns.c.score.desc())
        rows = await self._rows(statement)
        members = await self._members()
        return [_pattern(row, members.get(row["id"], ())) for row in rows]

    async def get(self, pattern_id: str) -> Pattern | None:
        """Returns one pattern, whether or not the newest run still has it."""
        statement = select(patterns).where(patterns.c.id == pattern_id)
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            return None
        members = await self._connection.scalars(
            select(pattern_members.c.interaction_id)
            .where(pattern_members.c.pattern_id == pattern_id)
            .order_by(pattern_members.c.interaction_id)
        )
        return _pattern(row, tuple(members))

    async def previous(self, embedder_id: str) -> list[PreviousPattern]:
        """Returns what the next run must know: current patterns, and those people decided about.

        Args:
            embedder_id: Centroids of another space are left out.
        """
        members = await self._members()
        rows = await self._rows(
            select(patterns)
            .where(or_(patterns.c.current, patterns.c.status != PatternStatus.OPEN))
            .order_by(patterns.c.id)
        )
        held = {m for row in rows if row["current"] for m in members.get(row["id"], ())}
        return [
            PreviousPattern(
                id=row["id"],
                member_ids=tuple(
                    member
                    for member in members.get(row["id"], ())
                    if row["current"] or member not in held
                ),
                centroid=tuple(row["centroid"]) if row["embedder_id"] == embedder_id else (),
                status=PatternStatus(row["status"]),
                verdict=Verdict(row["verdict"]),
                current=row["current"],
            )
            for row in rows
        ]

    async def tone(self) -> ToneWeek | None:
        """Returns the newest run's on-brand rates."""
        newest = select(pattern_runs.c.tone).order_by(pattern_runs.c.id.desc()).limit(1)
        row = await self._connection.scalar(newest)
        if row is None:
            return None
        before = row["before"]
        return ToneWeek(
            lately=ToneRate(**row["lately"]), before=None if before is None else ToneRate(**before)
        )

    async def labels(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Returns the keywords and the label stored under every id."""
        rows = await self._rows(select(patterns.c.id, patterns.c.keywords, patterns.c.label))
        return {row["id"]: (tuple(row["keywords"]), row["label"]) for row in rows}

    async def used_ids(self) -> list[str]:
        """Returns every pattern id ever given."""
        return list(await self._connection.scalars(select(patterns.c.id)))

    async def decide(
        self, pattern_id: str, status: PatternStatus, *, seen: PatternStatus, at: datetime
    ) -> bool:
        """Stores what a person decided about a pattern.

        Args:
            pattern_id: Which one.
            status: What it is from now on.
            seen: What the person saw; nothing is changed when it is no longer so.
            at: When.
        """
        values: dict[str, Any] = {"status": status}
        if status is PatternStatus.RESOLVED:
            values["resolved_at"] = at
        changed = await self._connection.scalar(
            update(patterns)
            .where(patterns.c.id == pattern_id, patterns.c.status == seen)
            .values(**values)
            .returning(patterns.c.id)
        )
        return changed is not None

    async def history(self, pattern_id: str) -> list[PatternEvent]:
        """Returns what runs did to a pattern, oldest first."""
        rows = await self._rows(
            select(
                pattern_changes.c.pattern_id,
                pattern_changes.c.change,
                pattern_changes.c.other_id,
                pattern_changes.c.created_at.label("at"),
            )
            .where(
                or_(
                    pattern_changes.c.pattern_id == pattern_id,
                    pattern_changes.c.other_id == pattern_id,
                )
            )
            .order_by(pattern_changes.c.id)
        )
        return [to_domain(PatternEvent, row) for row in rows]

    async def counts(self, at: datetime) -> dict[str, PatternCounts]:
        """Returns, by pattern, when the members of the current patterns were asked.

        Args:
            at: End of the week; later questions are left out.
        """
        asked, fixed = interactions.c.asked_at, patterns.c.resolved_at
        rows = await self._rows(
            select(
                patterns.c.id.label("pattern_id"),
                func.count().filter(asked > at - WEEK).label("lately"),
                func.count().filter(asked > at - 2 * WEEK, asked <= at - WEEK).label("before"),
                func.count().filter(asked > fixed - MEASURED, asked <= fixed).label("before_fix"),
                func.count().filter(asked > fixed).label("since_fix"),
            )
            .join(pattern_members, pattern_members.c.pattern_id == patterns.c.id)
            .join(interactions, interactions.c.id == pattern_members.c.interaction_id)
            .where(patterns.c.current, asked <= at)
            .group_by(patterns.c.id)
        )
        return {row["pattern_id"]: to_domain(PatternCounts, row) for row in rows}

    async def by_week(self, since: datetime) -> list[tuple[date, str, int]]:
        """Returns `(Monday, verdict, failures)` of the current patterns, oldest week first."""
        week = func.date(func.date_trunc("week", func.timezone("UTC", interactions.c.asked_at)))
        statement = (
            select(week, patterns.c.verdict, func.count())
            .join(pattern_members, pattern_members.c.pattern_id == patterns.c.id)
            .join(interactions, interactions.c.id == pattern_members.c.interaction_id)
            .where(patterns.c.current, interactions.c.asked_at >= since)
            .group_by(week, patterns.c.verdict)
            .order_by(week, patterns.c.verdict)
        )
        rows = await self._connection.execute(statement)
        return [(row[0], row[1], int(row[2])) for row in rows]

    async def members_since(self, pattern_ids: Sequence[str], since: datetime) -> int:
        """Counts the members of some patterns that were asked since a moment."""
        counted = await self._connection.scalar(
            select(func.count())
            .select_from(pattern_members)
            .join(interactions, interactions.c.id == pattern_members.c.interaction_id)
            .where(pattern_members.c.pattern_id.in_(pattern_ids), interactions.c.asked_at >= since)
        )
        return int(counted or 0)

    async def _rows(self, statement: Select[Any]) -> list[RowMapping]:
        return list((await self._connection.execute(statement)).mappings())

    async def _members(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        statement = select(pattern_members).order_by(pattern_members.c.interaction_id)
        for row in await self._connection.execute(statement):
            found.setdefault(row.pattern_id, []).append(row.interaction_id)
        return {pattern_id: tuple(ids) for pattern_id, ids in found.items()}


def _decided(
    pattern: Pattern, before: RowMapping | None, seen: PatternStatus | None, at: datetime
) -> Pattern:
    """Returns a run's pattern with the status it is stored under.

    What a person decided while the run was at work counts, not what the run made of the old status.
    """
    if before is None:
        resolved = pattern.status is PatternStatus.RESOLVED
        return replace(pattern, resolved_at=at if resolved else None)
    status = pattern.status if before["status"] == seen else PatternStatus(before["status"])
    fresh = status is PatternStatus.RESOLVED and before["status"] != status
    return replace(pattern, status=status, resolved_at=at if fresh else before["resolved_at"])


def _pattern(row: RowMapping, members: tuple[str, ...]) -> Pattern:
    return to_domain(
        Pattern,
        {
            **row,
            "kind": PatternKind(row["kind"]),
            "verdict": Verdict(row["verdict"]),
            "status": PatternStatus(row["status"]),
            "member_ids": members,
            **{name: tuple(row[name]) for name in _LISTS},
        },
    )
