"""Threads with their placeholder maps, and the questions and answers in them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Text, bindparam, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Arm, Interaction, InteractionState, Retrieved
from feedback.domain.rollout import Assignment
from feedback.store.tables.base import to_columns, to_domain
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import (
    correction_versions,
    corrections,
    interaction_vectors,
    vote_events,
    votes,
)
from feedback.store.tables.knowledge import chunks, documents


@dataclass(frozen=True, kw_only=True)
class Thread:
    """A conversation with the bot.

    Attributes:
        key: `team:channel:thread_ts`.
        started_at: When the bot first had to do with it.
        placeholders: Serialised placeholder map of the redactor.
        stopped_ts: When somebody last pressed Stop here; what was asked before is not answered.
        others_ts: When somebody whom the bot does not talk to last spoke here.
    """

    key: str
    team: str
    channel: str
    thread_ts: str
    started_by: str
    started_at: datetime
    placeholders: Mapping[str, Any]
    stopped_ts: str | None = None
    others_ts: str | None = None


class SqlConversations:
    """Threads and interactions; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open_thread(self, thread: Thread) -> Thread:
        """Creates the thread or returns the stored one, locked until the transaction ends."""
        rows = await self._connection.execute(_OPEN_THREAD, to_columns(thread))
        created = rows.mappings().first()
        # A row that is not committed yet is as good as locked.
        return to_domain(Thread, created) if created else await self.lock_thread(thread.key)

    async def lock_thread(self, key: str) -> Thread:
        """Returns a stored thread, locked until the transaction ends."""
        rows = await self._connection.execute(
            select(threads).where(threads.c.key == key).with_for_update()
        )
        return to_domain(Thread, rows.mappings().one())

    async def thread(self, key: str) -> Thread | None:
        """Returns a thread, None when the bot has nothing to do with it."""
        rows = await self._connection.execute(select(threads).where(threads.c.key == key))
        row = rows.mappings().first()
        return to_domain(Thread, row) if row else None

    async def save_placeholders(self, key: str, placeholders: Mapping[str, Any]) -> None:
        """Replaces the placeholder map of a thread (hold its lock)."""
        await self._connection.execute(
            update(threads).where(threads.c.key == key).values(placeholders=dict(placeholders))
        )

    async def has_asked(self, thread_key: str, user: str) -> bool:
        """Whether the bot has answered this person in this thread before."""
        return bool(
            await self._connection.scalar(
                select(
                    exists().where(
                        interactions.c.thread_key == thread_key, interactions.c.asker == user
                    )
                )
            )
        )

    async def create_pending(self, interaction: Interaction) -> Interaction:
        """Stores a question once; returns the stored one when it is known already."""
        rows = await self._connection.execute(_ADD, _columns(interaction))
        created = rows.mappings().first()
        if created is not None:
            return to_interaction(created)
        stored = await self.by_question(
            interaction.team, interaction.channel, interaction.question_ts
        )
        assert stored is not None, "the row was inserted or existed in this transaction"
        return stored

    async def save(self, interaction: Interaction) -> bool:
        """Replaces every column of a stored interaction; False when its question was deleted."""
        values = _columns(interaction)
        del values["id"]
        result = await self._connection.execute(
            update(interactions)
            .where(
                interactions.c.id == interaction.id,
                interactions.c.state != InteractionState.ERASED,
            )
            .values(**values)
        )
        return result.rowcount == 1

    async def keep(self, answered: Interaction) -> bool:
        """Stores the answer to a pending question.

        Returns:
            False when nobody wants it any more: the question was deleted, edited or stopped.
        """
        values = _columns(answered)
        del values["id"]
        version = {"which": answered.id, "seen_edit": answered.edited_ts}
        result = await self._connection.execute(_KEEP, values | version)
        return result.rowcount == 1

    async def mark_posted(self, interaction_id: str, answer_ts: str, at: datetime) -> None:
        """Records where the answer stands in Slack, and when it got there."""
        await self._connection.execute(
            _POSTED, {"which": interaction_id, "answer_ts": answer_ts, "answered_at": at}
        )

    async def mark_streaming(self, interaction_id: str, answer_ts: str) -> None:
        """Records the message that a stream writes into, so that a successor can finish it."""
        await self._connection.execute(
            update(interactions)
            .where(interactions.c.id == interaction_id)
            .values(answer_ts=answer_ts)
        )

    async def mark_failed(
        self,
        interaction_id: str,
        error: str,
        at: datetime,
        *,
        assignment: Assignment | None = None,
    ) -> None:
        """Gives a question up: nobody gets an answer any more.

        Args:
            interaction_id: The question.
            error: What went wrong.
            at: When it was given up.
            assignment: Of its thread: a failure counts for the arm that the thread is in.
        """
        arm: dict[str, Any] = {}
        if assignment is not None:
            arm = {
                "experiment_id": assignment.experiment_id,
                "arm": assignment.arm,
                "share": assignment.share,
            }
        await self._connection.execute(
            update(interactions)
            .where(
                interactions.c.id == interaction_id,
                interactions.c.state.in_([InteractionState.PENDING, InteractionState.ANSWERED]),
            )
            .values(state=InteractionState.FAILED, error=error, answered_at=at, **arm)
        )

    async def mark_undelivered(self, interaction_id: str, error: str, at: datetime) -> None:
        """Records that Slack will never take the answer."""
        await self._connection.execute(
            update(interactions)
            .where(
                interactions.c.id == interaction_id,
                interactions.c.state == InteractionState.ANSWERED,
            )
            .values(state=InteractionState.FAILED, error=error, answered_at=at, answer_ts=None)
        )

    async def get(self, interaction_id: str, *, team: str) -> Interaction | None:
        """Returns an interaction of that workspace; ids in clicks are not trusted across teams."""
        return await self._one(interactions.c.id == interaction_id, interactions.c.team == team)

    async def by_question(self, team: str, channel: str, ts: str) -> Interaction | None:
        """Returns the interaction that answers the message at `ts`."""
        return await self._one(
            interactions.c.team == team,
            interactions.c.channel == channel,
            interactions.c.question_ts == ts,
        )

    async def by_answer(self, team: str, channel: str, ts: str) -> Interaction | None:
        """Returns the interaction whose answer is the message at `ts`."""
        return await self._one(
            interactions.c.team == team,
            interactions.c.channel == channel,
            interactions.c.answer_ts == ts,
        )

    async def history(self, thread_key: str, *, before: str, limit: int) -> list[Interaction]:
        """Returns the answered interactions of a thread before a message, oldest first."""
        rows = await self._connection.execute(
            select(interactions)
            .where(
                interactions.c.thread_key == thread_key,
                interactions.c.question_ts < before,
                interactions.c.state == InteractionState.POSTED,
            )
            .order_by(interactions.c.question_ts.desc())
            .limit(limit)
        )
        return [to_interaction(row) for row in reversed(rows.mappings().all())]

    async def of_person(self, team: str, user: str, *, limit: int) -> list[Interaction]:
        """Returns somebody's latest questions, newest first."""
        rows = await self._connection.execute(
            select(interactions)
            .where(
                interactions.c.team == team,
                interactions.c.asker == user,
                interactions.c.state != InteractionState.ERASED,
            )
            .order_by(interactions.c.asked_at.desc())
            .limit(limit)
        )
        return [to_interaction(row) for row in rows.mappings()]

    async def sources(self, doc_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Returns `(title, uri)` of documents by id, removed ones too."""
        rows = await self._connection.execute(
            select(documents.c.doc_id, documents.c.title, documents.c.uri).where(
                documents.c.doc_id.in_(doc_ids)
            )
        )
        return {row.doc_id: (row.title, row.uri) for row in rows}

    async def passages(self, chunk_ids: Sequence[str]) -> tuple[str, ...]:
        """Returns the texts of retrieved chunks in the given order; unknown ones are left out."""
        rows = await self._connection.execute(
            select(chunks.c.chunk_id, chunks.c.text).where(chunks.c.chunk_id.in_(chunk_ids))
        )
        texts: dict[str, str] = {row.chunk_id: row.text for row in rows}
        return tuple(texts[chunk_id] for chunk_id in chunk_ids if chunk_id in texts)

    async def resync_question(self, interaction_id: str, question: str, *, edited_ts: str) -> bool:
        """Takes over the (redacted) edited text of a question.

        Returns:
            False when the question was deleted, or this edit is not the newest one.
        """
        result = await self._connection.execute(
            update(interactions)
            .where(
                interactions.c.id == interaction_id,
                interactions.c.state != InteractionState.ERASED,
                or_(interactions.c.edited_ts.is_(None), interactions.c.edited_ts < edited_ts),
            )
            .values(question=question, edited_ts=edited_ts)
        )
        return result.rowcount == 1

    async def erase_question(self, team: str, channel: str, ts: str) -> bool:
        """Forgets a question that was deleted in Slack, its answer and its corrections.

        Returns:
            Whether there was anything to erase.
        """
        result = await self._connection.execute(
            update(interactions)
            .where(
                interactions.c.team == team,
                interactions.c.channel == channel,
                interactions.c.question_ts == ts,
            )
            .values(state=InteractionState.ERASED, question="", answer=None, retrieved=[])
            .returning(interactions.c.id)
        )
        erased = result.scalar()
        if erased is None:
            return False
        withdrawn = await self._connection.scalars(
            update(corrections)
            .where(corrections.c.interaction_id == erased)
            .values(
                state="withdrawn",
                question="",
                bot_answer="",
                passages=[],
                tags=[],
                row_version=corrections.c.row_version + 1,
            )
            .returning(corrections.c.id)
        )
        await self._connection.execute(
            update(correction_versions)
            .where(correction_versions.c.correction_id.in_(withdrawn.all()))
            .values(text="")
        )
        await self._connection.execute(
            delete(interaction_vectors).where(interaction_vectors.c.interaction_id == erased)
        )
        # What somebody wrote about the answer may quote the question.
        for table in (votes, vote_events):
            await self._connection.execute(
                update(table).where(table.c.interaction_id == erased).values(comment="")
            )
        return True

    async def _one(self, *conditions: Any) -> Interaction | None:  # noqa: ANN401  (SQL clauses)
        rows = await self._connection.execute(select(interactions).where(*conditions))
        row = rows.mappings().first()
        return to_interaction(row) if row else None


# What every question needs is built once: putting a statement together costs more than sending it.
_OPEN_THREAD = insert(threads).on_conflict_do_nothing().returning(threads)
_ADD = insert(interactions).on_conflict_do_nothing().returning(interactions)
_KEEP = update(interactions).where(
    interactions.c.id == bindparam("which"),
    interactions.c.state == InteractionState.PENDING,
    interactions.c.edited_ts.is_not_distinct_from(bindparam("seen_edit", type_=Text)),
    ~exists().where(
        threads.c.key == interactions.c.thread_key,
        threads.c.stopped_ts > interactions.c.question_ts,
    ),
)
_POSTED = (
    update(interactions)
    .where(
        interactions.c.id == bindparam("which"),
        interactions.c.state == InteractionState.ANSWERED,
    )
    .values(
        state=InteractionState.POSTED,
        answer_ts=bindparam("answer_ts"),
        answered_at=bindparam("answered_at"),
    )
)


def _columns(interaction: Interaction) -> dict[str, Any]:
    values = to_columns(interaction)
    values["retrieved"] = [asdict(hit) for hit in interaction.retrieved]
    return values


def to_interaction(row: RowMapping) -> Interaction:
    """Builds the domain object from a row of `interactions`."""
    values = dict(row)
    values["retrieved"] = tuple(Retrieved(**hit) for hit in row["retrieved"])
    values["arm"] = Arm(row["arm"]) if row["arm"] else None
    values["state"] = InteractionState(row["state"])
    return to_domain(Interaction, values)
