"""Experiments: their rows, their stages, and the ordered event log that evidence is made from.

The log is read back in the row format of `understudy experiment replay`, so that a stored
experiment and an exported one are decided by the same code.
"""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Arm
from feedback.domain.trial import Trial, TrialStage
from feedback.errors import ConflictError
from feedback.store.tables.base import to_domain
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import corrections, vote_events
from feedback.store.tables.learning import assignments, experiment_stages, experiments

_RANK = {"assigned": 0, "stage": 1, "delivered": 2, "undelivered": 2, "scored": 3, "feedback": 4}


class SqlExperiments:
    """Experiment rows; a transition is one compare-and-set."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, trial: Trial) -> None:
        """Stores a new experiment and its first stage."""
        await self._connection.execute(insert(experiments).values(**asdict(trial)))
        await self._enter(trial, 0, trial.started_at)

    async def get(self, experiment_id: str) -> Trial | None:
        """Returns one experiment."""
        statement = select(experiments).where(experiments.c.id == experiment_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return to_domain(Trial, row) if row else None

    async def of_cycle(self, cycle_id: str) -> Trial | None:
        """Returns the experiment a cycle started."""
        statement = select(experiments).where(experiments.c.cycle_id == cycle_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return to_domain(Trial, row) if row else None

    async def latest(self, limit: int = 20) -> list[Trial]:
        """Returns the newest experiments first."""
        statement = select(experiments).order_by(experiments.c.started_at.desc()).limit(limit)
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(Trial, row) for row in rows]

    async def advance(self, before: Trial, after: Trial, at: datetime) -> Trial:
        """Stores `after` if nobody moved the experiment since `before`; a new stage gets a row.

        Returns:
            `after` with the version it was stored under.

        Raises:
            ConflictError: When somebody did move it.
        """
        done = await self._connection.execute(
            update(experiments)
            .where(experiments.c.id == before.id, experiments.c.version == before.version)
            .values(
                state=after.state,
                stage=after.stage,
                share=after.share,
                version=before.version + 1,
                decision=after.decision,
                evidence=after.evidence,
                ended_at=after.ended_at,
            )
        )
        if done.rowcount != 1:
            raise ConflictError(f"experiment {before.id} moved on from version {before.version}")
        if (after.stage, after.share) != (before.stage, before.share):
            await self._enter(after, before.version + 1, at)
        return replace(after, version=before.version + 1)

    async def stages(self, experiment_id: str) -> list[TrialStage]:
        """Returns the stages in the order they came into force."""
        statement = (
            select(experiment_stages)
            .where(experiment_stages.c.experiment_id == experiment_id)
            .order_by(experiment_stages.c.seq)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(TrialStage, row) for row in rows]

    async def event_rows(self, trial: Trial) -> list[dict[str, Any]]:
        """Returns the experiment's events in order, in the row format of `experiment replay`."""
        rows: list[dict[str, Any]] = [
            {
                "id": f"stage:{stage.seq}",
                "ts": stage.entered_at.timestamp(),
                "type": "stage",
                "stage": stage.stage,
                "share": stage.share,
            }
            for stage in await self.stages(trial.id)
        ]
        assigned = await self._assigned(trial)
        answers = await self._answers(trial)
        effects = [row for answer in answers for row in _answer_events(answer, trial.slow_ms)]
        effects += await self._opinions(trial)
        rows += [*assigned, *_after_assignment(effects, assigned)]
        rows.sort(key=lambda row: (row["ts"], _RANK.get(row["type"], 5), row["id"]))
        first = {
            "id": f"experiment:{trial.id}",
            "ts": trial.started_at.timestamp(),
            "type": "experiment",
            "policy": dict(trial.policy),
            "arms": ["champion", "challenger"],
            "metrics": ["tone", "ground", "error", *(["slow"] if trial.slow_ms else [])],
        }
        return [{**row, "seq": seq} for seq, row in enumerate([first, *rows])]

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

    async def _assigned(self, trial: Trial) -> list[dict[str, Any]]:
        statement = select(assignments).where(
            assignments.c.experiment_id == trial.id, assignments.c.forced_reason.is_(None)
        )
        return [
            {
                "id": f"assigned:{row['thread_key']}",
                "ts": row["assigned_at"].timestamp(),
                "type": "assigned",
                "thread": row["thread_key"],
                "user": row["user_id"],
                "arm": int(row["arm"] == Arm.CHALLENGER),
                "share": row["share"],
                "stage": row["stage"],
            }
            for row in (await self._connection.execute(statement)).mappings()
        ]

    async def _answers(self, trial: Trial) -> list[RowMapping]:
        statement = select(interactions).where(interactions.c.experiment_id == trial.id)
        return list((await self._connection.execute(statement)).mappings())

    async def _opinions(self, trial: Trial) -> list[dict[str, Any]]:
        voted = (
            select(vote_events, interactions.c.thread_key)
            .join(interactions, interactions.c.id == vote_events.c.interaction_id)
            .where(interactions.c.experiment_id == trial.id)
        )
        rows = [
            {
                "id": f"vote:{row['event_id']}",
                "ts": row["recorded_at"].timestamp(),
                "type": "feedback",
                "thread": row["thread_key"],
                "answer": row["interaction_id"],
                "user": row["user_id"],
                "value": row["value"],
            }
            for row in (await self._connection.execute(voted)).mappings()
        ]
        corrected = (
            select(corrections, interactions.c.thread_key.label("thread"))
            .join(interactions, interactions.c.id == corrections.c.interaction_id)
            .where(interactions.c.experiment_id == trial.id)
        )
        rows += [
            {
                "id": f"correction:{row['id']}",
                "ts": row["created_at"].timestamp(),
                "type": "correction",
                "thread": row["thread"],
                "answer": row["interaction_id"],
                "user": row["author"],
            }
            for row in (await self._connection.execute(corrected)).mappings()
        ]
        return rows

    async def champion_latency_p95(self) -> float | None:
        """Returns the 95th percentile of answer latency in milliseconds, None without answers."""
        value: float | None = await self._connection.scalar(
            select(func.percentile_cont(0.95).within_group(interactions.c.latency_ms)).where(
                interactions.c.latency_ms.is_not(None)
            )
        )
        return value

    async def counts(self, experiment_id: str) -> dict[str, int]:
        """Returns how many threads each arm got."""
        statement = (
            select(assignments.c.arm, func.count().label("count"))
            .where(assignments.c.experiment_id == experiment_id)
            .group_by(assignments.c.arm)
        )
        rows = await self._connection.execute(statement)
        return {row["arm"]: row["count"] for row in rows.mappings()}

    async def threads_since(self, experiment_id: str, since: datetime) -> dict[str, int]:
        """Counts threads since a moment as `<arm>_delivered` and `<arm>_rated`."""
        ours = (interactions.c.experiment_id == experiment_id) & interactions.c.arm.is_not(None)
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


def _after_assignment(
    effects: list[dict[str, Any]], assigned: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Moves what happened in a thread to its assignment, where it claims to be earlier.

    A thread is assigned at its message's time, which is Slack's clock; answers and opinions are
    stored by ours, which may be behind. An answer before its own thread would not be counted.
    """
    began = {row["thread"]: row["ts"] for row in assigned}
    return [{**row, "ts": max(row["ts"], began.get(row["thread"], row["ts"]))} for row in effects]


def _answer_events(answer: RowMapping, slow_ms: float | None) -> list[dict[str, Any]]:
    """What one interaction row tells the experiment: delivered or not, and its flags."""
    base = {"thread": answer["thread_key"], "answer": answer["id"]}
    if answer["answered_at"] is None:
        return []
    ts = answer["answered_at"].timestamp()
    delivered = answer["answer_ts"] is not None
    kind = "delivered" if delivered else "undelivered"
    # An answer without passages has nothing to be grounded in: that is known, and not bad.
    flags: dict[str, bool] = {
        "error": answer["error"] is not None,
        "ground": answer["grounded"] is False,
    }
    if answer["on_brand"] is not None:
        flags["tone"] = answer["on_brand"] < 0.5
    if slow_ms is not None and answer["latency_ms"] is not None:
        flags["slow"] = answer["latency_ms"] > slow_ms
    return [
        {"id": f"{kind}:{answer['id']}", "ts": ts, "type": kind, **base},
        {
            "id": f"scored:{answer['id']}",
            "ts": ts,
            "type": "scored",
            "thread": answer["thread_key"],
            "flags": flags,
        },
    ]
