"""What reviewers have before them, how far they agree, and imported candidates for them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, any_, exists, func, literal, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.correction import (
    Correction,
    CorrectionState,
    Decision,
    QueueReason,
)
from feedback.domain.reviewing import FIRST, SECOND
from feedback.store.corrections import current_corrections, to_correction
from feedback.store.imports import IMPORT_TEAM
from feedback.store.tables.feedback import correction_versions, corrections, reviews


class SqlReviewing:
    """The reviewers' side of corrections; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def queue_of(
        self, team: str, reviewer: str, *, admin: bool, limit: int
    ) -> list[Correction]:
        """Returns what one reviewer can decide: own claims first, then the oldest.

        Not shown: what they wrote, skipped or decided, what others claimed, and, except to admins,
        what was escalated.
        """
        decided = exists().where(
            reviews.c.correction_id == corrections.c.id, reviews.c.reviewer == reviewer
        )
        theirs = corrections.c.claimed_by == reviewer
        free = and_(
            corrections.c.claimed_by.is_(None),
            not_(literal(reviewer) == any_(corrections.c.skipped_by)),
            corrections.c.author != reviewer,
        )
        states = [CorrectionState.PROPOSED, CorrectionState.CLAIMED]
        allowed = or_(
            corrections.c.state.in_(states),
            and_(corrections.c.state == CorrectionState.SECOND_LOOK, not_(decided)),
            and_(corrections.c.state == CorrectionState.ESCALATED, literal(admin)),
        )
        rows = await self._connection.execute(
            current_corrections()
            .where(corrections.c.team == team, or_(theirs, free), allowed)
            .order_by(
                func.coalesce(theirs, False).desc(), corrections.c.created_at, corrections.c.id
            )
            .limit(limit)
        )
        return [to_correction(row) for row in rows.mappings()]

    async def pairs(
        self, team: str | None, reviewer: str | None = None
    ) -> Sequence[tuple[Decision, Decision]]:
        """Returns the two independent decisions about each correction that got two.

        Args:
            team: The workspace; None: all of them.
            reviewer: Only pairs that this person took part in, their own decision first.
        """
        first, second = reviews.alias("first"), reviews.alias("second")
        rows = await self._connection.execute(
            select(first.c.reviewer, first.c.decision, second.c.reviewer, second.c.decision)
            .join(second, second.c.correction_id == first.c.correction_id)
            .join(corrections, corrections.c.id == first.c.correction_id)
            .where(
                or_(literal(team is None), corrections.c.team == team),
                first.c.round == FIRST,
                second.c.round == SECOND,
            )
            .order_by(second.c.id)
        )
        found = []
        for one, decision, other, another in rows:
            if reviewer in {None, one}:
                found.append((Decision(decision), Decision(another)))
            elif reviewer == other:
                found.append((Decision(another), Decision(decision)))
        return found

    async def withdraw(self, correction_id: str) -> bool:
        """Erases a correction whose words were deleted in Slack; False when it is gone already."""
        result = await self._connection.execute(
            update(corrections)
            .where(
                corrections.c.id == correction_id,
                corrections.c.state != CorrectionState.WITHDRAWN,
            )
            .values(
                state=CorrectionState.WITHDRAWN,
                question="",
                bot_answer="",
                passages=[],
                tags=[],
                row_version=corrections.c.row_version + 1,
            )
        )
        await self._connection.execute(
            update(correction_versions)
            .where(correction_versions.c.correction_id == correction_id)
            .values(text="")
        )
        return result.rowcount == 1

    async def reword(self, correction_id: str, text: str) -> bool:
        """Replaces the words that nobody has looked at yet; False when somebody has."""
        result = await self._connection.execute(
            update(corrections)
            .where(
                corrections.c.id == correction_id,
                corrections.c.state == CorrectionState.PROPOSED,
                corrections.c.version == 1,
            )
            .values(row_version=corrections.c.row_version + 1)
        )
        if result.rowcount == 1:
            await self._connection.execute(
                update(correction_versions)
                .where(
                    correction_versions.c.correction_id == correction_id,
                    correction_versions.c.version == 1,
                )
                .values(text=text)
            )
        return result.rowcount == 1

    async def reopen(self, rivals: Mapping[str, Sequence[str]]) -> Sequence[Correction]:
        """Puts approved corrections that contradict each other before an admin again.

        Args:
            rivals: By correction id, the corrections that say otherwise.

        Returns:
            Those that were approved until now, each with its cards still to be drawn.
        """
        reopened = []
        for correction_id, others in rivals.items():
            queued = corrections.c.queued_for
            moved = await self._connection.scalar(
                update(corrections)
                .where(
                    corrections.c.id == correction_id,
                    corrections.c.state == CorrectionState.APPROVED,
                )
                .values(
                    state=CorrectionState.ESCALATED,
                    rivals=list(others),
                    queued_for=func.array_append(
                        func.array_remove(queued, QueueReason.CONFLICT), QueueReason.CONFLICT
                    ),
                    claimed_by=None,
                    decided_at=None,
                    row_version=corrections.c.row_version + 1,
                )
                .returning(corrections.c.id)
            )
            if moved is not None:
                reopened.append(moved)
        rows = await self._connection.execute(
            current_corrections().where(corrections.c.id.in_(reopened)).order_by(corrections.c.id)
        )
        return [to_correction(row) for row in rows.mappings()]

    async def imported(self) -> int:
        """Returns how many imported candidates no team has adopted."""
        return int(
            await self._connection.scalar(
                select(func.count()).where(
                    corrections.c.team == IMPORT_TEAM,
                    corrections.c.state == CorrectionState.PROPOSED,
                )
            )
            or 0
        )

    async def adopt(
        self, team: str, *, limit: int, consent: str | None = None
    ) -> Sequence[Correction]:
        """Moves imported candidates into a team's queue, the oldest first.

        Args:
            team: The workspace whose reviewers decide about them.
            limit: At most so many.
            consent: What from now on allows them to train; None leaves what the import noted.
        """
        chosen = (
            select(corrections.c.id)
            .where(
                corrections.c.team == IMPORT_TEAM,
                corrections.c.state == CorrectionState.PROPOSED,
            )
            .order_by(corrections.c.created_at, corrections.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        values = {
            "team": team,
            "queued_for": [QueueReason.IMPORTED],
            "row_version": corrections.c.row_version + 1,
        }
        moved = await self._connection.scalars(
            update(corrections)
            .where(corrections.c.id.in_(chosen.scalar_subquery()))
            .values(values | ({"consent": consent} if consent else {}))
            .returning(corrections.c.id)
        )
        rows = await self._connection.execute(
            current_corrections()
            .where(corrections.c.id.in_(moved.all()))
            .order_by(corrections.c.created_at, corrections.c.id)
        )
        return [to_correction(row) for row in rows.mappings()]
