"""Patterns from run to run: the newest run's are current, the ids of the others stay taken."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternKind,
    PatternStatus,
    PreviousPattern,
    Verdict,
)
from feedback.store.tables.base import to_domain
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import pattern_members, pattern_runs, patterns


class SqlPatterns:
    """Mined patterns; a run replaces the current ones in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(
        self,
        result: MiningResult,
        *,
        failures: int,
        embedder_id: str,
        policy: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Makes a run's patterns the current ones; statuses people gave come with the result."""
        await self._connection.execute(update(patterns).values(current=False))
        for pattern in result.patterns:
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
        await self._connection.execute(
            insert(pattern_runs).values(
                failures=failures,
                patterns=len(result.patterns),
                unclustered=len(result.unclustered),
                policy=dict(policy),
                created_at=at,
            )
        )

    async def current(self) -> list[Pattern]:
        """Returns the newest run's patterns, most urgent first."""
        statement = select(patterns).where(patterns.c.current).order_by(patterns.c.score.desc())
        rows = list((await self._connection.execute(statement)).mappings())
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
        """Returns what the next run must know of the current patterns.

        Args:
            embedder_id: Centroids of another space are left out.
        """
        statement = select(patterns).where(patterns.c.current).order_by(patterns.c.id)
        members = await self._members()
        return [
            PreviousPattern(
                id=row["id"],
                member_ids=members.get(row["id"], ()),
                centroid=tuple(row["centroid"]) if row["embedder_id"] == embedder_id else (),
                status=PatternStatus(row["status"]),
            )
            for row in (await self._connection.execute(statement)).mappings()
        ]

    async def used_ids(self) -> list[str]:
        """Returns every pattern id ever given."""
        return list(await self._connection.scalars(select(patterns.c.id)))

    async def decide(self, pattern_id: str, status: PatternStatus) -> None:
        """Stores what a person decided about a pattern."""
        await self._connection.execute(
            update(patterns).where(patterns.c.id == pattern_id).values(status=status)
        )

    async def members_since(self, pattern_ids: Sequence[str], since: datetime) -> int:
        """Counts the members of some patterns that were asked since a moment."""
        counted = await self._connection.scalar(
            select(func.count())
            .select_from(pattern_members)
            .join(interactions, interactions.c.id == pattern_members.c.interaction_id)
            .where(pattern_members.c.pattern_id.in_(pattern_ids), interactions.c.asked_at >= since)
        )
        return int(counted or 0)

    async def _members(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        statement = select(pattern_members).order_by(pattern_members.c.interaction_id)
        for row in await self._connection.execute(statement):
            found.setdefault(row.pattern_id, []).append(row.interaction_id)
        return {pattern_id: tuple(ids) for pattern_id, ids in found.items()}


def _pattern(row: RowMapping, members: tuple[str, ...]) -> Pattern:
    return to_domain(
        Pattern,
        {
            **row,
            "kind": PatternKind(row["kind"]),
            "verdict": Verdict(row["verdict"]),
            "status": PatternStatus(row["status"]),
            "member_ids": members,
        },
    )
