"""Promotions that wait for a person, and what the challenger would have answered."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Interaction, InteractionState
from feedback.domain.trial import Approval, ShadowAnswer, Trial, Verdict
from feedback.store.conversations import to_interaction
from feedback.store.tables.base import to_domain
from feedback.store.tables.conversations import interactions
from feedback.store.tables.learning import experiments
from feedback.store.tables.trials import approvals, shadow_answers


class SqlApprovals:
    """Approvals; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ask(self, approval: Approval) -> None:
        """Stores that a version of an experiment waits for a person; once."""
        await self._connection.execute(
            upsert(approvals).values(**asdict(approval)).on_conflict_do_nothing()
        )

    async def get(self, experiment_id: str, version: int, *, lock: bool = False) -> Approval | None:
        """Returns what was asked of one version, with `lock` until the transaction ends."""
        statement = select(approvals).where(
            approvals.c.experiment_id == experiment_id, approvals.c.version == version
        )
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).mappings().first()
        return _approval(row) if row else None

    async def decide(
        self,
        experiment_id: str,
        version: int,
        verdict: Verdict,
        *,
        by: str,
        reason: str,
        at: datetime,
    ) -> None:
        """Stores a verdict, for good; one nobody was asked for is stored too."""
        decided = {"verdict": verdict, "decided_by": by, "reason": reason, "decided_at": at}
        await self._connection.execute(
            upsert(approvals)
            .values(
                experiment_id=experiment_id,
                version=version,
                asked_at=at,
                expires_at=at,
                **decided,
            )
            .on_conflict_do_update(
                index_elements=["experiment_id", "version"],
                set_=decided,
                where=approvals.c.verdict.is_(None),
            )
        )


class SqlShadows:
    """Answers in the shadow; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def questions(self, trial: Trial, *, last: int, apart: bool = False) -> list[Interaction]:
        """Returns those of the champion's last answers that the challenger has no other to yet.

        Answers of other models are left out: with several challengers on stage they are many.

        Args:
            trial: The experiment; what was answered before its start counts.
            last: How many of the newest questions there are to answer in all.
            apart: Leave out what another open experiment answers: of two cards with one question
                the answer that repeats would be known for the champion's.
        """
        elsewhere = (
            select(shadow_answers.c.interaction_id)
            .join(experiments, experiments.c.id == shadow_answers.c.experiment_id)
            .where(experiments.c.ended_at.is_(None), experiments.c.id != trial.id)
        )
        newest = (
            select(interactions)
            .where(
                interactions.c.state == InteractionState.POSTED,
                interactions.c.answer.is_not(None),
                interactions.c.abstained.is_(False),
                interactions.c.answered_at < trial.started_at,
                interactions.c.adapter_id.is_not_distinct_from(trial.champion_id),
                *([interactions.c.id.not_in(elsewhere)] if apart else []),
            )
            .order_by(interactions.c.answered_at.desc(), interactions.c.id)
            .limit(last)
            .subquery()
        )
        done = select(shadow_answers.c.interaction_id).where(
            shadow_answers.c.experiment_id == trial.id
        )
        rows = await self._connection.execute(
            select(newest).where(newest.c.id.not_in(done)).order_by(newest.c.answered_at)
        )
        return [to_interaction(row) for row in rows.mappings()]

    async def add(self, answer: ShadowAnswer) -> bool:
        """Stores an answer once; False when that question was answered already."""
        added = await self._connection.scalar(
            upsert(shadow_answers)
            .values(**asdict(answer))
            .on_conflict_do_nothing()
            .returning(shadow_answers.c.id)
        )
        return added is not None

    async def of(self, experiment_id: str) -> list[tuple[ShadowAnswer, Interaction]]:
        """Returns the answers in the shadow with what people really got, oldest first."""
        statement = (
            select(shadow_answers)
            .where(shadow_answers.c.experiment_id == experiment_id)
            .order_by(shadow_answers.c.answered_at, shadow_answers.c.id)
        )
        found = [
            to_domain(ShadowAnswer, row)
            for row in (await self._connection.execute(statement)).mappings()
        ]
        real = await self._interactions([answer.interaction_id for answer in found])
        return [(answer, real[answer.interaction_id]) for answer in found]

    async def pair(
        self, pair_id: str, *, lock: bool = False
    ) -> tuple[ShadowAnswer, Interaction] | None:
        """Returns one answer in the shadow and the real one."""
        statement = select(shadow_answers).where(shadow_answers.c.id == pair_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            return None
        answer = to_domain(ShadowAnswer, row)
        return answer, (await self._interactions([answer.interaction_id]))[answer.interaction_id]

    async def vote(self, pair_id: str, winner: str, *, by: str, at: datetime) -> None:
        """Stores a reviewer's vote (hold the pair's lock); the first one counts."""
        await self._connection.execute(
            update(shadow_answers)
            .where(shadow_answers.c.id == pair_id, shadow_answers.c.winner.is_(None))
            .values(winner=winner, voted_by=by, voted_at=at)
        )

    async def _interactions(self, ids: Sequence[str]) -> dict[str, Interaction]:
        rows = await self._connection.execute(
            select(interactions).where(interactions.c.id.in_(ids))
        )
        return {row["id"]: to_interaction(row) for row in rows.mappings()}


def _approval(row: RowMapping) -> Approval:
    verdict = Verdict(row["verdict"]) if row["verdict"] else None
    return to_domain(Approval, {**row, "verdict": verdict})
