"""Whose turn it is in a thread: stops, edits, talk among people, and what somebody looks at."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import case, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import InteractionState
from feedback.store.tables.conversations import interactions, pane_contexts, threads
from feedback.store.tables.knowledge import documents


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a question stands that somebody is working on.

    Attributes:
        edited_ts: When it was last edited; None when it never was.
        stopped: Stop was pressed in its thread after it was asked.
    """

    state: InteractionState
    edited_ts: str | None
    stopped: bool


class SqlTurns:
    """Turn-taking; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def stop(self, thread_key: str, ts: str) -> None:
        """Notes that Stop was pressed in a thread: what was asked before is not answered."""
        await self._connection.execute(
            update(threads)
            .where(threads.c.key == thread_key)
            .values(stopped_ts=func.greatest(threads.c.stopped_ts, ts))
        )

    async def waiting(self, thread_key: str) -> bool:
        """Whether an answer is still owed in a thread."""
        owed = (InteractionState.PENDING, InteractionState.ANSWERED)
        return bool(
            await self._connection.scalar(
                select(
                    exists().where(
                        interactions.c.thread_key == thread_key, interactions.c.state.in_(owed)
                    )
                )
            )
        )

    async def overhear(self, thread_key: str, ts: str) -> None:
        """Notes that people talk to each other in a thread of ours; elsewhere it does nothing."""
        await self._connection.execute(
            update(threads)
            .where(threads.c.key == thread_key)
            .values(others_ts=func.greatest(threads.c.others_ts, ts))
        )

    async def follows_up(self, thread_key: str, user: str, ts: str) -> bool:
        """Whether a message without a mention goes on with the bot.

        It does when its author has asked in this thread before and nobody else has spoken there
        since the bot's turn.
        """
        earlier = interactions.c.question_ts < ts
        statement = (
            select(
                func.count().filter(interactions.c.asker == user).label("asked"),
                func.max(func.coalesce(interactions.c.answer_ts, interactions.c.question_ts)),
                threads.c.others_ts,
            )
            .join(threads, threads.c.key == interactions.c.thread_key)
            .where(interactions.c.thread_key == thread_key, earlier)
            .group_by(threads.c.others_ts)
        )
        row = (await self._connection.execute(statement)).first()
        if row is None or not row.asked:
            return False
        _, turn, others = row
        return others is None or not turn < others < ts

    async def standings(self, interaction_ids: Collection[str]) -> Mapping[str, Standing]:
        """Returns how questions stand, by id."""
        statement = (
            select(
                interactions.c.id,
                interactions.c.state,
                interactions.c.edited_ts,
                case(
                    (threads.c.stopped_ts > interactions.c.question_ts, literal(True)),
                    else_=literal(False),
                ).label("stopped"),
            )
            .join(threads, threads.c.key == interactions.c.thread_key)
            .where(interactions.c.id.in_(interaction_ids))
        )
        rows = await self._connection.execute(statement)
        return {
            row.id: Standing(
                state=InteractionState(row.state), edited_ts=row.edited_ts, stopped=row.stopped
            )
            for row in rows
        }

    async def look_at(
        self, team: str, user: str, entities: Sequence[Mapping[str, str]], *, event_ts: float
    ) -> None:
        """Remembers what somebody looks at beside the conversation with the bot.

        Args:
            team: Their workspace.
            user: Who looks.
            entities: `{type, value}` each, ids only, most relevant first.
            event_ts: When, in seconds since the epoch; an older event changes nothing.
        """
        statement = insert(pane_contexts).values(
            team=team, user_id=user, entities=[dict(e) for e in entities], event_ts=event_ts
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["team", "user_id"],
                set_={
                    "entities": statement.excluded.entities,
                    "event_ts": statement.excluded.event_ts,
                },
                where=pane_contexts.c.event_ts <= statement.excluded.event_ts,
            )
        )

    async def looked_at(self, team: str, user: str) -> list[dict[str, str]]:
        """Returns what somebody looks at, most relevant first."""
        found = await self._connection.scalar(
            select(pane_contexts.c.entities).where(
                pane_contexts.c.team == team, pane_contexts.c.user_id == user
            )
        )
        return list(found or [])

    async def at_home_in(self, team: str, channel: str) -> bool:
        """Whether the bot was ever asked in a channel."""
        return bool(
            await self._connection.scalar(
                select(
                    exists().where(interactions.c.team == team, interactions.c.channel == channel)
                )
            )
        )

    async def popular(self, team: str, *, limit: int) -> list[str]:
        """Returns what different people asked , most asked first.

        Questions with a placeholder are about somebody in particular and are left out.
        """
        recent = (
            select(interactions.c.question, interactions.c.asker)
            .where(
                interactions.c.team == team,
                interactions.c.state == InteractionState.POSTED,
                ~interactions.c.abstained,
                interactions.c.question.not_like("%<%"),
                func.char_length(interactions.c.question).between(8, 120),
            )
            .order_by(interactions.c.asked_at.desc())
            .limit(_RECENT)
            .subquery()
        )
        people = func.count(recent.c.asker.distinct())
        rows = await self._connection.execute(
            select(func.min(recent.c.question))
            .group_by(func.lower(recent.c.question))
            .having(people >= _DIFFERENT_PEOPLE)
            .order_by(people.desc(), func.min(recent.c.question))
            .limit(limit)
        )
        return [row[0] for row in rows]

    async def document_titles(self, *, limit: int) -> list[str]:
        """Returns titles of documents that everybody may read, the latest first."""
        if limit <= 0:
            return []
        rows = await self._connection.scalars(
            select(documents.c.title)
            .where(documents.c.removed_at.is_(None), documents.c.audience.is_(None))
            .order_by(documents.c.updated_at.desc().nulls_last(), documents.c.title)
            .limit(limit)
        )
        return list(rows)


_RECENT = 2000
"""Latest answers that suggestions are taken from."""
_DIFFERENT_PEOPLE = 2
"""What one person asks is nobody else's business."""
