"""Corrections with their versions and reviews; every change is conditional on the row version."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.correction import (
    OPEN_STATES,
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    Review,
)
from feedback.domain.interaction import Reason
from feedback.errors import ConflictError, NotAllowedError, NotFoundError
from feedback.store.tables.base import to_domain
from feedback.store.tables.feedback import correction_versions, corrections, reviews
from feedback.store.tables.knowledge import chunks

_OUTCOME = {
    Decision.APPROVE: CorrectionState.APPROVED,
    Decision.REJECT: CorrectionState.REJECTED,
    Decision.ESCALATE: CorrectionState.ESCALATED,
}


class SqlCorrections:
    """Corrections; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, correction: Correction) -> None:
        """Stores a correction with its first version; storing the same id again changes nothing."""
        values = asdict(correction)
        text, redaction = values.pop("text"), values.pop("redaction_version")
        added = await self._connection.scalar(
            insert(corrections)
            .values(**values)
            .on_conflict_do_nothing()
            .returning(corrections.c.id)
        )
        if added is not None:
            await self._add_version(
                correction.id, 1, text, correction.author, redaction, correction.created_at
            )

    async def propose(self, correction_id: str, *, team: str, author: str) -> bool:
        """Confirms the author's draft; False when that happened before.

        Raises:
            NotFoundError: When there is no such draft of this author.
        """
        result = await self._connection.execute(
            update(corrections)
            .where(
                corrections.c.id == correction_id,
                corrections.c.team == team,
                corrections.c.author == author,
                corrections.c.state == CorrectionState.DRAFT,
            )
            .values(state=CorrectionState.PROPOSED, row_version=corrections.c.row_version + 1)
        )
        if result.rowcount == 0:
            await self.get(correction_id, team=team)
        return result.rowcount == 1

    async def get(self, correction_id: str, *, team: str) -> Correction:
        """Returns a correction of that workspace with its current text.

        Raises:
            NotFoundError: When it does not exist there.
        """
        rows = await self._connection.execute(
            _current().where(corrections.c.id == correction_id, corrections.c.team == team)
        )
        row = rows.mappings().first()
        if row is None:
            raise NotFoundError(f"correction {correction_id!r} does not exist in {team!r}")
        return _correction(row)

    async def claim(
        self, correction_id: str, *, team: str, reviewer: str, row_version: int
    ) -> Correction:
        """Takes a proposed correction for review; the first click wins.

        Raises:
            ConflictError: When somebody else changed it first.
            NotFoundError: When it does not exist in that workspace.
        """
        return await self._advance(
            correction_id,
            team=team,
            row_version=row_version,
            allowed=(CorrectionState.PROPOSED,),
            values={"state": CorrectionState.CLAIMED, "claimed_by": reviewer},
        )

    async def edit(
        self,
        correction_id: str,
        *,
        team: str,
        editor: str,
        row_version: int,
        text: str,
        redaction_version: str,
        at: datetime,
    ) -> Correction:
        """Adds a version with another text and claims the correction for the editor.

        Raises:
            ConflictError: When somebody else changed or claimed it first.
            NotFoundError: When it does not exist in that workspace.
        """
        before = await self.get(correction_id, team=team)
        _require_free(before, editor)
        escalated = before.state is CorrectionState.ESCALATED
        version = before.version + 1
        await self._change(
            correction_id,
            team=team,
            row_version=row_version,
            allowed=OPEN_STATES,
            values={
                "version": version,
                "claimed_by": editor,
                "state": CorrectionState.ESCALATED if escalated else CorrectionState.CLAIMED,
            },
        )
        await self._add_version(correction_id, version, text, editor, redaction_version, at)
        return await self.get(correction_id, team=team)

    async def decide(
        self, decision: Decision, correction_id: str, *, team: str, review: Review, row_version: int
    ) -> Correction:
        """Approves, rejects or escalates the version that the reviewer saw.

        Raises:
            ConflictError: When somebody else changed or claimed it first.
            NotAllowedError: When authors approve their own correction.
            NotFoundError: When it does not exist in that workspace.
        """
        before = await self.get(correction_id, team=team)
        if decision is Decision.APPROVE and before.author == review.reviewer:
            raise NotAllowedError(
                f"{review.reviewer} wrote correction {correction_id}; another reviewer must approve"
            )
        _require_free(before, review.reviewer)
        escalates = decision is Decision.ESCALATE
        after = await self._advance(
            correction_id,
            team=team,
            row_version=row_version,
            allowed=OPEN_STATES[:2] if escalates else OPEN_STATES,
            values={
                "state": _OUTCOME[decision],
                "claimed_by": None if escalates else review.reviewer,
                "decided_at": None if escalates else review.created_at,
            },
        )
        values = {**asdict(review), "correction_id": correction_id, "version": after.version}
        await self._connection.execute(insert(reviews).values(**values))
        return after

    async def set_card(self, correction_id: str, channel: str, ts: str) -> None:
        """Remembers the card in the review channel."""
        await self._connection.execute(
            update(corrections)
            .where(corrections.c.id == correction_id)
            .values(card_channel=channel, card_ts=ts)
        )

    async def queue(self, team: str, *, limit: int = 20) -> list[Correction]:
        """Returns the corrections that wait for a reviewer, oldest first."""
        rows = await self._connection.execute(
            _current()
            .where(corrections.c.team == team, corrections.c.state.in_(OPEN_STATES))
            .order_by(corrections.c.created_at, corrections.c.id)
            .limit(limit)
        )
        return [_correction(row) for row in rows.mappings()]

    async def queue_length(self, team: str) -> int:
        """Returns how many corrections wait for a reviewer."""
        return await self._count(team, OPEN_STATES)

    async def approved_count(self, team: str | None = None) -> int:
        """Returns how many corrections were approved."""
        return await self._count(team, (CorrectionState.APPROVED,))

    async def approved(self) -> list[Correction]:
        """Returns every approved correction, in the order of the decisions."""
        rows = await self._connection.execute(
            _current()
            .where(corrections.c.state == CorrectionState.APPROVED)
            .order_by(corrections.c.decided_at, corrections.c.id)
        )
        return [_correction(row) for row in rows.mappings()]

    async def of_interaction(self, interaction_id: str) -> list[Correction]:
        """Returns the corrections of one answer, oldest first."""
        rows = await self._connection.execute(
            _current()
            .where(corrections.c.interaction_id == interaction_id)
            .order_by(corrections.c.created_at, corrections.c.id)
        )
        return [_correction(row) for row in rows.mappings()]

    async def reviews(self, correction_id: str) -> list[Review]:
        """Returns the decisions about a correction, oldest first."""
        rows = await self._connection.execute(
            select(reviews).where(reviews.c.correction_id == correction_id).order_by(reviews.c.id)
        )
        return [
            to_domain(Review, {**row, "decision": Decision(row["decision"])})
            for row in rows.mappings()
        ]

    async def passages(self, chunk_ids: Sequence[str]) -> tuple[str, ...]:
        """Returns the texts of retrieved chunks in the given order; unknown ones are left out."""
        rows = await self._connection.execute(
            select(chunks.c.chunk_id, chunks.c.text).where(chunks.c.chunk_id.in_(chunk_ids))
        )
        texts: dict[str, str] = {row.chunk_id: row.text for row in rows}
        return tuple(texts[chunk_id] for chunk_id in chunk_ids if chunk_id in texts)

    async def _advance(
        self,
        correction_id: str,
        *,
        team: str,
        row_version: int,
        allowed: Sequence[CorrectionState],
        values: dict[str, Any],
    ) -> Correction:
        await self._change(
            correction_id, team=team, row_version=row_version, allowed=allowed, values=values
        )
        return await self.get(correction_id, team=team)

    async def _change(
        self,
        correction_id: str,
        *,
        team: str,
        row_version: int,
        allowed: Sequence[CorrectionState],
        values: dict[str, Any],
    ) -> None:
        """Changes a row of exactly this version in one of these states."""
        result = await self._connection.execute(
            update(corrections)
            .where(
                corrections.c.id == correction_id,
                corrections.c.team == team,
                corrections.c.row_version == row_version,
                corrections.c.state.in_(allowed),
            )
            .values(**values, row_version=row_version + 1)
        )
        if result.rowcount == 0:
            now = await self.get(correction_id, team=team)
            raise ConflictError(
                f"correction {correction_id} is {now.state} at version {now.row_version}, "
                f"not at {row_version}; look at the newest card"
            )

    async def _add_version(
        self, correction_id: str, version: int, text: str, editor: str, redaction: str, at: datetime
    ) -> None:
        await self._connection.execute(
            insert(correction_versions).values(
                correction_id=correction_id,
                version=version,
                text=text,
                editor=editor,
                redaction_version=redaction,
                created_at=at,
            )
        )

    async def _count(self, team: str | None, states: Sequence[CorrectionState]) -> int:
        statement = (
            select(func.count()).select_from(corrections).where(corrections.c.state.in_(states))
        )
        if team is not None:
            statement = statement.where(corrections.c.team == team)
        return int(await self._connection.scalar(statement) or 0)


def _current() -> Select[Any]:
    return select(
        corrections, correction_versions.c.text, correction_versions.c.redaction_version
    ).join(
        correction_versions,
        (correction_versions.c.correction_id == corrections.c.id)
        & (correction_versions.c.version == corrections.c.version),
    )


def _require_free(correction: Correction, reviewer: str) -> None:
    if correction.claimed_by not in {None, reviewer}:
        raise ConflictError(
            f"correction {correction.id} is claimed by {correction.claimed_by}; "
            "ask them, or wait until they decide"
        )


def _correction(row: RowMapping) -> Correction:
    values = dict(row)
    values["source"] = CorrectionSource(row["source"])
    values["state"] = CorrectionState(row["state"])
    values["passages"] = tuple(row["passages"])
    values["reasons"] = tuple(Reason(reason) for reason in row["reasons"])
    return to_domain(Correction, values)
