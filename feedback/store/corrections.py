"""Corrections with their versions and reviews; every change is conditional on the row version."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, any_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.correction import (
    EDITABLE_STATES,
    OPEN_STATES,
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    QueueReason,
    Review,
)
from feedback.domain.interaction import Reason
from feedback.domain.reviewing import OwnCorrectionError, require_independent, rule
from feedback.errors import ConflictError, NotFoundError
from feedback.store.tables.base import to_domain
from feedback.store.tables.feedback import correction_versions, corrections, reviews


class SqlCorrections:
    """Corrections; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, correction: Correction) -> None:
        """Stores a correction with its first version; storing the same id again changes nothing."""
        values = asdict(correction)
        text, redaction = values.pop("text"), values.pop("redaction_version")
        del values["rival_texts"]
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
            current_corrections().where(
                corrections.c.id == correction_id, corrections.c.team == team
            )
        )
        row = rows.mappings().first()
        if row is None:
            raise NotFoundError(f"correction {correction_id!r} does not exist in {team!r}")
        return to_correction(row)

    async def claim(
        self, correction_id: str, *, team: str, reviewer: str, row_version: int, at: datetime
    ) -> Correction:
        """Takes a correction for review or for the second look; the first click wins.

        Raises:
            ConflictError: When somebody else changed it first.
            NotAllowedError: When they wrote it, or gave the first decision.
            NotFoundError: When it does not exist in that workspace.
        """
        before = await self.get(correction_id, team=team)
        second = before.state is CorrectionState.SECOND_LOOK
        if second:
            require_independent(before, await self.reviews(correction_id), reviewer)
            _require_free(before, None)
        elif before.author == reviewer:
            raise OwnCorrectionError(f"{reviewer} wrote correction {correction_id}")
        return await self._advance(
            correction_id,
            team=team,
            row_version=row_version,
            allowed=(CorrectionState.SECOND_LOOK if second else CorrectionState.PROPOSED,),
            values={
                "state": before.state if second else CorrectionState.CLAIMED,
                "claimed_by": reviewer,
                "claimed_at": at,
            },
        )

    async def skip(
        self, correction_id: str, *, team: str, reviewer: str, row_version: int, admin: bool
    ) -> tuple[Correction, bool]:
        """Leaves a correction to the others; a claim of theirs is given up.

        Args:
            correction_id: Which.
            team: The clicking person's workspace.
            reviewer: Who skips.
            row_version: What they saw.
            admin: An admin gives up anybody's claim.

        Returns:
            The correction, and whether a claim was given up.

        Raises:
            ConflictError: When somebody else changed or claimed it first.
            NotFoundError: When it does not exist in that workspace.
        """
        before = await self.get(correction_id, team=team)
        if not admin:
            _require_free(before, reviewer)
        skipped = before.skipped_by
        if before.claimed_by in {None, reviewer}:
            skipped = tuple(dict.fromkeys((*skipped, reviewer)))
        if before.claimed_by is None:
            await self._connection.execute(
                update(corrections)
                .where(corrections.c.id == correction_id)
                .values(skipped_by=skipped)
            )
            return before, False
        claimed = before.state is CorrectionState.CLAIMED
        after = await self._advance(
            correction_id,
            team=team,
            row_version=row_version,
            allowed=OPEN_STATES,
            values={
                "state": CorrectionState.PROPOSED if claimed else before.state,
                "claimed_by": None,
                "skipped_by": skipped,
            },
        )
        return after, True

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
            allowed=EDITABLE_STATES,
            values={
                "version": version,
                "claimed_by": editor,
                "claimed_at": at,
                "state": CorrectionState.ESCALATED if escalated else CorrectionState.CLAIMED,
            },
        )
        await self._add_version(correction_id, version, text, editor, redaction_version, at)
        return await self.get(correction_id, team=team)

    async def decide(
        self,
        decision: Decision,
        correction_id: str,
        *,
        team: str,
        review: Review,
        row_version: int,
        second_share: float = 0.0,
    ) -> Correction:
        """Approves, rejects or escalates the version that the reviewer saw.

        Args:
            decision: What.
            correction_id: Which.
            team: The clicking person's workspace.
            review: Who, when, and why; version and round are filled in.
            row_version: What they saw.
            second_share: Share of corrections that two people decide.

        Raises:
            ConflictError: When somebody else changed or claimed it first.
            NotAllowedError: When authors approve their own, or one person decides twice.
            NotFoundError: When it does not exist in that workspace.
        """
        before = await self.get(correction_id, team=team)
        ruling = rule(
            before,
            await self.reviews(correction_id),
            reviewer=review.reviewer,
            decision=decision,
            second_share=second_share,
        )
        _require_free(before, review.reviewer)
        stays_open = ruling.state in OPEN_STATES
        escalated = before.state is CorrectionState.ESCALATED
        after = await self._advance(
            correction_id,
            team=team,
            row_version=row_version,
            allowed=() if escalated and stays_open else OPEN_STATES,
            values={
                "state": ruling.state,
                "claimed_by": None if stays_open else review.reviewer,
                "decided_at": None if stays_open else review.created_at,
            },
        )
        values = {
            **asdict(review),
            "correction_id": correction_id,
            "version": after.version,
            "round": ruling.round,
        }
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
            current_corrections()
            .where(corrections.c.team == team, corrections.c.state.in_(OPEN_STATES))
            .order_by(corrections.c.created_at, corrections.c.id)
            .limit(limit)
        )
        return [to_correction(row) for row in rows.mappings()]

    async def queue_length(self, team: str) -> int:
        """Returns how many corrections wait for a reviewer."""
        return await self._count(team, OPEN_STATES)

    async def approved_count(self, team: str | None = None) -> int:
        """Returns how many corrections were approved."""
        return await self._count(team, (CorrectionState.APPROVED,))

    async def approved(self) -> list[Correction]:
        """Returns every approved correction, in the order of the decisions."""
        rows = await self._connection.execute(
            current_corrections()
            .where(corrections.c.state == CorrectionState.APPROVED)
            .order_by(corrections.c.decided_at, corrections.c.id)
        )
        return [to_correction(row) for row in rows.mappings()]

    async def of_interaction(self, interaction_id: str) -> list[Correction]:
        """Returns the corrections of one answer, oldest first."""
        rows = await self._connection.execute(
            current_corrections()
            .where(corrections.c.interaction_id == interaction_id)
            .order_by(corrections.c.created_at, corrections.c.id)
        )
        return [to_correction(row) for row in rows.mappings()]

    async def reviews(self, correction_id: str) -> list[Review]:
        """Returns the decisions about a correction, oldest first."""
        rows = await self._connection.execute(
            select(reviews).where(reviews.c.correction_id == correction_id).order_by(reviews.c.id)
        )
        return [
            to_domain(Review, {**row, "decision": Decision(row["decision"])})
            for row in rows.mappings()
        ]

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


def current_corrections() -> Select[Any]:
    """Returns the query for corrections with their current text, and what their rivals say."""
    other, words = corrections.alias("rival"), correction_versions.alias("rival_words")
    rival_texts = (
        select(func.coalesce(func.array_agg(words.c.text), []))
        .join(other, (words.c.correction_id == other.c.id) & (words.c.version == other.c.version))
        .where(other.c.id == any_(corrections.c.rivals), words.c.text != "")
        .correlate(corrections)
        .scalar_subquery()
    )
    return select(
        corrections,
        correction_versions.c.text,
        correction_versions.c.redaction_version,
        rival_texts.label("rival_texts"),
    ).join(
        correction_versions,
        (correction_versions.c.correction_id == corrections.c.id)
        & (correction_versions.c.version == corrections.c.version),
    )


def _require_free(correction: Correction, reviewer: str | None) -> None:
    if correction.claimed_by not in {None, reviewer}:
        raise ConflictError(
            f"correction {correction.id} is claimed by {correction.claimed_by}; "
            "ask them, or wait until they decide"
        )


def to_correction(row: RowMapping) -> Correction:
    """Builds the domain object from a row of `current_corrections`."""
    values = dict(row)
    values["source"] = CorrectionSource(row["source"])
    values["state"] = CorrectionState(row["state"])
    values["passages"] = tuple(row["passages"])
    values["reasons"] = tuple(Reason(reason) for reason in row["reasons"])
    values["tags"] = tuple(row["tags"])
    values["skipped_by"] = tuple(row["skipped_by"])
    values["rivals"] = tuple(row["rivals"])
    values["rival_texts"] = tuple(row["rival_texts"])
    values["queued_for"] = tuple(QueueReason(reason) for reason in row["queued_for"])
    return to_domain(Correction, values)
