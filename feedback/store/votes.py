"""Votes: an append-only history of acts and the current opinion folded from it."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Rating, Reason
from feedback.domain.vote import Vote, VoteEvent, VoteSource, fold_votes
from feedback.store.tables.base import to_domain
from feedback.store.tables.feedback import vote_events, votes


class SqlVotes:
    """Votes; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def record(self, event: VoteEvent, *, at: datetime) -> Vote | None:
        """Adds an act to the history and refreshes the person's opinion.

        Returns:
            The opinion now, or None when this act was recorded before.
        """
        # Two acts of one person on one answer take turns, so that neither folds without the other.
        await self._connection.execute(
            select(
                func.pg_advisory_xact_lock(
                    func.hashtextextended(f"{event.interaction_id}:{event.user_id}", 0)
                )
            )
        )
        acts = await self._acts(event.interaction_id, event.user_id)
        vote = fold_votes([*acts, event])
        added = await self._connection.scalar(
            insert(vote_events)
            .values(**asdict(event), value=vote.rating or "none", recorded_at=at)
            .on_conflict_do_nothing()
            .returning(vote_events.c.seq)
        )
        if added is None:
            return None
        values = {**asdict(vote), "updated_at": at}
        statement = insert(votes).values(**values)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["interaction_id", "user_id"],
                set_={key: statement.excluded[key] for key in values},
            )
        )
        return vote

    async def of_interaction(self, interaction_id: str) -> list[Vote]:
        """Returns everybody's current opinion of an answer."""
        rows = await self._connection.execute(
            select(votes).where(votes.c.interaction_id == interaction_id).order_by(votes.c.user_id)
        )
        return [_vote(row) for row in rows.mappings()]

    async def _acts(self, interaction_id: str, user_id: str) -> list[VoteEvent]:
        rows = await self._connection.execute(
            select(vote_events).where(
                vote_events.c.interaction_id == interaction_id,
                vote_events.c.user_id == user_id,
            )
        )
        return [_event(row) for row in rows.mappings()]


def _vote(row: RowMapping) -> Vote:
    values = dict(row)
    values["rating"] = Rating(row["rating"]) if row["rating"] else None
    values["reasons"] = tuple(Reason(reason) for reason in row["reasons"])
    return to_domain(Vote, values)


def _event(row: RowMapping) -> VoteEvent:
    values = dict(row)
    values["rating"] = Rating(row["rating"])
    values["source"] = VoteSource(row["source"])
    values["reasons"] = tuple(Reason(reason) for reason in row["reasons"])
    return to_domain(VoteEvent, values)
