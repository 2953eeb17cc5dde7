"""Counts over the whole record, for the overview page and the metrics route; nothing writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.correction import OPEN_STATES
from feedback.store.records import CONSENTS
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import corrections, votes
from feedback.store.tables.inbox import inbox, outbox
from feedback.store.tables.learning import champion
from feedback.store.tables.operations import cycles, switches


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is stored and not finished.

    Attributes:
        inbox_waiting: Deliveries of Slack that a worker still has to take or to finish.
        inbox_parked: Deliveries of workspaces that have to install the bot again first.
        inbox_failed: Deliveries given up, or never understood: a person should look.
        outbox_waiting: Side effects still owed.
        outbox_failed: Side effects given up.
        oldest: When the oldest waiting delivery arrived, by the database's clock.
    """

    inbox_waiting: int
    inbox_failed: int
    outbox_waiting: int
    outbox_failed: int
    oldest: datetime | None
    inbox_parked: int = 0


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """Corrections on their way to becoming labels.

    Attributes:
        approved: Approved, before cleaning.
        trainable: Approved ones that may train under the consent mode.
        waiting: Proposed and not decided.
    """

    approved: int
    trainable: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """One day (UTC) of answers and the current opinions of them."""

    day: date
    answers: int
    up: int
    down: int


@dataclass(frozen=True, kw_only=True)
class SwitchState:
    """An operator's switch: its value, who set it, and when."""

    value: str
    set_by: str
    set_at: datetime


# Opinions are folded per answer first: joining votes straight on would count answers twice.
_DAILY = text(
    """
    select (i.asked_at at time zone 'UTC')::date as day, count(*) as answers,
           coalesce(sum(v.up), 0) as up, coalesce(sum(v.down), 0) as down
    from interactions i
    left join (
        select interaction_id, count(*) filter (where rating = 'up') as up,
               count(*) filter (where rating = 'down') as down
        from votes group by interaction_id
    ) v on v.interaction_id = i.id
    where i.answer is not null and i.asked_at >= :since
    group by 1 order by 1
    """
)


class SqlOverview:
    """Whole-record counts; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def backlog(self) -> Backlog:
        """Returns what waits and what was given up."""
        waiting = inbox.c.state.in_(("ready", "leased"))
        outbox_waiting = outbox.c.done_at.is_(None)
        outbox_failed = outbox.c.done_at.is_not(None) & outbox.c.error.is_not(None)
        return Backlog(
            inbox_waiting=await self._count(waiting),
            inbox_parked=await self._count(inbox.c.state == "parked"),
            inbox_failed=await self._count(inbox.c.state.in_(("failed", "unparsed"))),
            outbox_waiting=await self._count(outbox_waiting),
            outbox_failed=await self._count(outbox_failed),
            oldest=await self._connection.scalar(
                select(func.min(inbox.c.received_at)).where(waiting)
            ),
        )

    async def champion_since(self) -> datetime | None:
        """Returns when the champion pointer last moved; None while it never did."""
        since: datetime | None = await self._connection.scalar(select(champion.c.since))
        return since

    async def labels(self, consent: str) -> LabelCounts:
        """Counts corrections towards the label gate.

        Args:
            consent: `reviewer_authored`, `consenting` or `all`.
        """
        approved = corrections.c.state == "approved"
        allowed = approved & corrections.c.consent.in_(CONSENTS[consent])
        waiting = corrections.c.state.in_(OPEN_STATES)
        return LabelCounts(
            approved=await self._count(approved),
            trainable=await self._count(allowed),
            waiting=await self._count(waiting),
        )

    async def labels_since(self, consent: str, since: datetime) -> int:
        """Counts the approved corrections that may train and were decided since a moment."""
        return await self._count(
            (corrections.c.state == "approved")
            & corrections.c.consent.in_(CONSENTS[consent])
            & (corrections.c.decided_at >= since)
        )

    async def daily(self, since: datetime) -> list[DayCount]:
        """Returns answers and opinions by day, oldest first; days without answers are missing."""
        rows = (await self._connection.execute(_DAILY, {"since": since})).mappings()
        return [
            DayCount(
                day=row["day"], answers=row["answers"], up=int(row["up"]), down=int(row["down"])
            )
            for row in rows
        ]

    async def answers_by_arm(self) -> Mapping[str, int]:
        """Counts answers people saw by arm; `none` are those outside of any experiment."""
        return await self._groups(
            select(func.coalesce(interactions.c.arm, "none"), func.count())
            .where(interactions.c.answer_ts.is_not(None))
            .group_by(interactions.c.arm)
        )

    async def votes_by_rating(self) -> Mapping[str, int]:
        """Counts the current opinions: `up`, `down`."""
        return await self._groups(
            select(votes.c.rating, func.count())
            .where(votes.c.rating.is_not(None))
            .group_by(votes.c.rating)
        )

    async def corrections_by_state(self) -> Mapping[str, int]:
        """Counts corrections by their state."""
        return await self._groups(
            select(corrections.c.state, func.count()).group_by(corrections.c.state)
        )

    async def cycles_by_outcome(self) -> Mapping[str, int]:
        """Counts the ended cycles by their outcome."""
        return await self._groups(
            select(cycles.c.outcome, func.count())
            .where(cycles.c.outcome.is_not(None))
            .group_by(cycles.c.outcome)
        )

    async def switch(self, name: str) -> SwitchState | None:
        """Returns a switch with who set it and when, None when it was never set."""
        statement = select(switches.c.value, switches.c.set_by, switches.c.set_at).where(
            switches.c.name == name
        )
        row = (await self._connection.execute(statement)).mappings().first()
        return SwitchState(**row) if row else None

    async def _count(self, condition: ColumnElement[bool]) -> int:
        counted = await self._connection.scalar(select(func.count()).where(condition))
        return int(counted or 0)

    async def _groups(self, statement: Select[Any, int]) -> dict[str, int]:
        rows = await self._connection.execute(statement)
        return {str(name): int(count) for name, count in rows}
