"""Why the bot said what it said: an answer with everything that stood behind it; nothing writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Interaction
from feedback.domain.rollout import Assignment
from feedback.store.conversations import to_interaction
from feedback.store.tables.base import to_domain
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import correction_versions, corrections, votes
from feedback.store.tables.knowledge import chunks, documents
from feedback.store.tables.learning import assignments, dataset_examples


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A retrieved chunk as it is stored.

    Attributes:
        removed: It left the documents since.
    """

    chunk_id: str
    doc_id: str
    title: str
    heading: str
    text: str
    uri: str
    removed: bool


@dataclass(frozen=True, kw_only=True)
class CorrectionText:
    """A correction of an answer, current version."""

    id: str
    state: str
    author: str
    text: str
    version: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Training:
    """A dataset version that an answer's correction is in, and the side it is on there."""

    dataset_id: str
    side: str


@dataclass(frozen=True, kw_only=True)
class AnswerLine:
    """One answer in a list, with the opinions of it.

    Attributes:
        correction: Current text of its newest open or approved correction.
    """

    id: str
    asked_at: datetime
    question: str
    answer: str | None
    state: str
    abstained: bool
    up: int
    down: int
    correction: str | None


class SqlExplanations:
    """Answers with their reasons; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def interaction(self, interaction_id: str) -> Interaction | None:
        """Returns an interaction of any workspace: for operators only."""
        statement = select(interactions).where(interactions.c.id == interaction_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return to_interaction(row) if row else None

    async def passages(self, chunk_ids: Sequence[str]) -> Mapping[str, Passage]:
        """Returns chunks by id, removed ones too."""
        statement = (
            select(
                chunks.c.chunk_id,
                chunks.c.doc_id,
                chunks.c.heading,
                chunks.c.text,
                chunks.c.removed_at.is_not(None).label("removed"),
                documents.c.title,
                documents.c.uri,
            )
            .join(documents, documents.c.doc_id == chunks.c.doc_id)
            .where(chunks.c.chunk_id.in_(chunk_ids))
        )
        rows = (await self._connection.execute(statement)).mappings()
        return {row["chunk_id"]: to_domain(Passage, row) for row in rows}

    async def corrections(self, interaction_id: str) -> list[CorrectionText]:
        """Returns the corrections of an answer, oldest first."""
        statement = (
            select(corrections, correction_versions.c.text)
            .join(
                correction_versions,
                (correction_versions.c.correction_id == corrections.c.id)
                & (correction_versions.c.version == corrections.c.version),
            )
            .where(corrections.c.interaction_id == interaction_id)
            .order_by(corrections.c.created_at, corrections.c.id)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(CorrectionText, row) for row in rows]

    async def assignment(self, experiment_id: str, thread_key: str) -> Assignment | None:
        """Returns the stored arm of a thread."""
        statement = select(assignments).where(
            assignments.c.experiment_id == experiment_id, assignments.c.thread_key == thread_key
        )
        row = (await self._connection.execute(statement)).mappings().first()
        return to_domain(Assignment, row) if row else None

    async def trained_in(self, correction_ids: Sequence[str]) -> list[Training]:
        """Returns the dataset versions that hold any of these corrections."""
        statement = (
            select(dataset_examples.c.dataset_id, dataset_examples.c.side)
            .where(dataset_examples.c.interaction_ids.overlap(list(correction_ids)))
            .distinct()
            .order_by(dataset_examples.c.dataset_id, dataset_examples.c.side)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(Training, row) for row in rows]

    async def lines(self, ids: Sequence[str]) -> list[AnswerLine]:
        """Returns these answers, in the order of the ids; unknown ids are left out."""
        rows = await self._lines(_lines().where(interactions.c.id.in_(ids)))
        known = {row.id: row for row in rows}
        return [known[name] for name in ids if name in known]

    async def latest(self, *, show: str = "all", limit: int = 50) -> list[AnswerLine]:
        """Returns the newest answers.

        Args:
            show: `all`, `down` (somebody thumbed it down), `abstained` or `failed`.
            limit: Most answers to return.
        """
        wanted: dict[str, ColumnElement[bool]] = {
            "down": exists().where(
                votes.c.interaction_id == interactions.c.id, votes.c.rating == "down"
            ),
            "abstained": interactions.c.abstained,
            "failed": interactions.c.state == "failed",
        }
        statement = _lines().order_by(interactions.c.asked_at.desc()).limit(limit)
        if show in wanted:
            statement = statement.where(wanted[show])
        return await self._lines(statement)

    async def per_day(self, ids: Sequence[str]) -> Mapping[date, int]:
        """Returns on which days (UTC) these questions were asked, and how many."""
        day = func.date(func.timezone("UTC", interactions.c.asked_at))
        statement = (
            select(day, func.count()).where(interactions.c.id.in_(ids)).group_by(day).order_by(day)
        )
        return {row[0]: int(row[1]) for row in await self._connection.execute(statement)}

    async def _lines(self, statement: Select[Any]) -> list[AnswerLine]:
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(AnswerLine, row) for row in rows]


def _lines() -> Select[Any]:
    def opinions(rating: str) -> ColumnElement[int]:
        return (
            select(func.count())
            .where(votes.c.interaction_id == interactions.c.id, votes.c.rating == rating)
            .scalar_subquery()
        )

    correction = (
        select(correction_versions.c.text)
        .join(
            corrections,
            (correction_versions.c.correction_id == corrections.c.id)
            & (correction_versions.c.version == corrections.c.version),
        )
        .where(
            corrections.c.interaction_id == interactions.c.id,
            corrections.c.state.in_(("proposed", "claimed", "approved")),
        )
        .order_by(corrections.c.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(
        interactions.c.id,
        interactions.c.asked_at,
        interactions.c.question,
        interactions.c.answer,
        interactions.c.state,
        interactions.c.abstained,
        opinions("up").label("up"),
        opinions("down").label("down"),
        correction.label("correction"),
    )
