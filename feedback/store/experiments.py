"""Experiments: their rows, their stages, and what every look found."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.trial import HOLDBACK, PAUSABLE_STATES, Look, Part, Trial, TrialStage
from feedback.errors import ConflictError, NotFoundError
from feedback.store.experiment_log import SqlExperimentLog, told_about
from feedback.store.tables.base import to_domain
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import vote_events
from feedback.store.tables.learning import (
    assignments,
    experiment_stages,
    experiments,
)
from feedback.store.tables.operations import leader
from feedback.store.tables.trials import experiment_looks

ON_STAGE = ("CANARY", "RAMP", "TEST", "READY", "PROMOTING", HOLDBACK)
"""States in which people meet the challenger of an experiment, or the champion it has become."""


class SqlExperiments:
    """Experiment rows; a transition is one compare-and-set."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, trial: Trial) -> None:
        """Stores a new experiment, and its stage when it begins in one."""
        await self._connection.execute(insert(experiments).values(**asdict(trial)))
        if trial.stage:
            await self._enter(trial, 0, trial.started_at)

    async def get(self, experiment_id: str) -> Trial | None:
        """Returns one experiment."""
        statement = select(experiments).where(experiments.c.id == experiment_id)
        return next(iter(await self._read(statement)), None)

    async def require(self, experiment_id: str) -> Trial:
        """Returns one experiment.

        Raises:
            NotFoundError: When there is no such experiment.
        """
        found = await self.get(experiment_id)
        if found is None:
            raise NotFoundError(f"there is no experiment {experiment_id}")
        return found

    async def named(self, name: str) -> Trial | None:
        """Returns an experiment by its id or its challenger's: a running one, else the newest."""
        statement = (
            select(experiments)
            .where((experiments.c.id == name) | (experiments.c.challenger_id == name))
            .order_by(experiments.c.ended_at.is_(None).desc(), experiments.c.started_at.desc())
            .limit(1)
        )
        return next(iter(await self._read(statement)), None)

    async def of_cycle(self, cycle_id: str) -> Trial | None:
        """Returns the experiment a cycle started."""
        statement = select(experiments).where(experiments.c.cycle_id == cycle_id)
        return next(iter(await self._read(statement)), None)

    async def latest(self, limit: int = 20) -> list[Trial]:
        """Returns the newest experiments first."""
        statement = select(experiments).order_by(experiments.c.started_at.desc()).limit(limit)
        return await self._read(statement)

    async def last_ended(self) -> Trial | None:
        """Returns the experiment that ended last; it need not have begun last."""
        statement = (
            select(experiments)
            .where(experiments.c.ended_at.is_not(None))
            .order_by(experiments.c.ended_at.desc(), experiments.c.id)
            .limit(1)
        )
        return next(iter(await self._read(statement)), None)

    async def running(self) -> list[Trial]:
        """Returns the experiments that are not over: those on stage first, then by their start."""
        statement = (
            select(experiments)
            .where(experiments.c.ended_at.is_(None))
            .order_by(
                experiments.c.state.in_(ON_STAGE).desc(), experiments.c.started_at, experiments.c.id
            )
        )
        return await self._read(statement)

    async def on_stage(self) -> list[Trial]:
        """Returns the experiments that people meet, by their start."""
        return [trial for trial in await self.running() if trial.state in ON_STAGE]

    async def current(self) -> list[Trial]:
        """Returns the experiments that operators mean: those on stage, else those that wait."""
        running = await self.running()
        return [trial for trial in running if trial.state in ON_STAGE] or running

    async def shown(self) -> list[Trial]:
        """Returns the current experiments, else the one that ended last, if there ever was one."""
        if current := await self.current():
            return current
        last = await self.last_ended()
        return [last] if last else []

    async def _read(self, statement: Select[Any]) -> list[Trial]:
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(Trial, row) for row in rows]

    async def rolled_back_since(self, since: datetime) -> int:
        """Counts the experiments whose promotion was taken back since a moment."""
        count = await self._connection.scalar(
            select(func.count()).where(
                experiments.c.state == "ROLLED_BACK", experiments.c.ended_at >= since
            )
        )
        return int(count or 0)

    async def advance(
        self, before: Trial, after: Trial, at: datetime, *, term: int | None = None
    ) -> Trial:
        """Stores `after` if nobody moved the experiment since `before`; a new stage gets a row.

        Args:
            before: As it was read.
            after: As it should be.
            at: When a new stage begins.
            term: The writer's term as leader; None where nobody competes.

        Returns:
            `after` with the version it was stored under.

        Raises:
            ConflictError: When somebody did move it, or a younger leader has taken over.
        """
        leads = literal(term is None) | (select(leader.c.term).scalar_subquery() == term)
        done = await self._connection.execute(
            update(experiments)
            .where(
                experiments.c.id == before.id,
                experiments.c.version == before.version,
                # Whoever paused it meanwhile has been heard before it moves on.
                experiments.c.paused_at.is_not_distinct_from(before.paused_at),
                leads,
            )
            .values(
                champion_id=after.champion_id,
                slow_ms=after.slow_ms,
                state=after.state,
                stage=after.stage,
                share=after.share,
                version=before.version + 1,
                decision=after.decision,
                evidence=after.evidence,
                started_at=after.started_at,
                joined_from=after.joined_from,
                paused_at=after.paused_at,
                paused_by=after.paused_by,
                ended_at=after.ended_at,
            )
        )
        if done.rowcount != 1:
            raise ConflictError(
                f"experiment {before.id} moved on from version {before.version}, was paused or "
                "resumed, or another scheduler leads by now"
            )
        if (after.stage, after.share) != (before.stage, before.share):
            await self._enter(after, before.version + 1, at)
        return replace(after, version=before.version + 1)

    async def pause(self, experiment_id: str, *, by: str | None, at: datetime) -> bool:
        """Pauses an experiment, or lets it go on; the version stays, so that an approval's does.

        Args:
            experiment_id: Which experiment.
            by: Who pauses it; None lets it go on.
            at: Since when.

        Returns:
            Whether that changed anything; what cannot be paused (any more) is left alone.
        """
        paused = experiments.c.paused_at.is_not(None)
        changed = await self._connection.scalar(
            update(experiments)
            .where(
                experiments.c.id == experiment_id,
                experiments.c.state.in_(PAUSABLE_STATES),
                paused if by is None else ~paused,
            )
            .values(paused_at=None if by is None else at, paused_by=by or "")
            .returning(experiments.c.id)
        )
        return changed is not None

    async def note(
        self, trial: Trial, look: Look, evidence: Mapping[str, Any], *, keep: bool = True
    ) -> Trial:
        """Stores what a look found; the version stays, so that an approval's does, too.

        Args:
            trial: As it was read.
            look: What was found.
            evidence: The same for people to read, in place of what the look before found.
            keep: The look becomes a part of the log and of the chart.

        Returns:
            The experiment as stored now.

        Raises:
            ConflictError: When somebody moved the experiment meanwhile.
        """
        done = await self._connection.execute(
            update(experiments)
            .where(experiments.c.id == trial.id, experiments.c.version == trial.version)
            .values(decision=look.decision, evidence=dict(evidence))
        )
        if done.rowcount != 1:
            raise ConflictError(f"experiment {trial.id} moved on from version {trial.version}")
        if keep:
            await self._connection.execute(
                upsert(experiment_looks)
                .values(experiment_id=trial.id, **asdict(look))
                .on_conflict_do_nothing()
            )
        return replace(trial, decision=look.decision, evidence=evidence)

    async def looks(self, experiment_id: str) -> list[Look]:
        """Returns what was found look by look, oldest first."""
        statement = (
            select(experiment_looks)
            .where(experiment_looks.c.experiment_id == experiment_id)
            .order_by(experiment_looks.c.at)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(Look, {**row, "part": Part(row["part"])}) for row in rows]

    async def event_rows(self, trial: Trial, part: Part = Part.TEST) -> list[dict[str, Any]]:
        """Returns the events of one part in order, in the row format of `experiment replay`."""
        stages, looks = await self.stages(trial.id), await self.looks(trial.id)
        return await SqlExperimentLog(self._connection).rows(trial, stages, looks, part)

    async def stages(self, experiment_id: str) -> list[TrialStage]:
        """Returns the stages in the order they came into force."""
        statement = (
            select(experiment_stages)
            .where(experiment_stages.c.experiment_id == experiment_id)
            .order_by(experiment_stages.c.seq)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(TrialStage, row) for row in rows]

    async def _enter(self, trial: Trial, seq: int, at: datetime) -> None:
        await self._connection.execute(
            insert(experiment_stages).values(
                experiment_id=trial.id,
                seq=seq,
                stage=trial.stage,
                share=trial.share,
                entered_at=at,
            )
        )

    async def latency_p95(self, adapter_id: str | None) -> float | None:
        """Returns the 95th percentile of a model's answer latency, None without answers.

        Args:
            adapter_id: The model; None is the base.

        Returns:
            Milliseconds.
        """
        value: float | None = await self._connection.scalar(
            select(func.percentile_cont(0.95).within_group(interactions.c.latency_ms)).where(
                interactions.c.latency_ms.is_not(None),
                interactions.c.adapter_id.is_not_distinct_from(adapter_id),
            )
        )
        return value

    async def counts(self, experiment_id: str) -> dict[str, int]:
        """Returns how many threads each arm was drawn for."""
        statement = (
            select(assignments.c.arm, func.count().label("count"))
            .where(
                assignments.c.experiment_id == experiment_id, assignments.c.forced_reason.is_(None)
            )
            .group_by(assignments.c.arm)
        )
        rows = await self._connection.execute(statement)
        return {row["arm"]: row["count"] for row in rows.mappings()}

    async def threads_since(self, experiment_id: str, since: datetime) -> dict[str, int]:
        """Counts threads since a moment as `<arm>_delivered` and `<arm>_rated`."""
        ours = told_about(experiment_id)
        threads = func.count(interactions.c.thread_key.distinct())
        delivered = (
            select(interactions.c.arm, threads)
            .where(ours, interactions.c.answer_ts.is_not(None))
            .where(interactions.c.answered_at >= since)
            .group_by(interactions.c.arm)
        )
        rated = (
            select(interactions.c.arm, threads)
            .join(vote_events, vote_events.c.interaction_id == interactions.c.id)
            .where(ours, vote_events.c.recorded_at >= since)
            .group_by(interactions.c.arm)
        )
        counts: dict[str, int] = {}
        for what, statement in (("delivered", delivered), ("rated", rated)):
            for arm, count in await self._connection.execute(statement):
                counts[f"{arm}_{what}"] = int(count)
        return counts
