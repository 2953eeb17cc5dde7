"""The ordered log of an experiment that evidence is made from.

It is read back in the row format of `understudy experiment replay`, so that a stored experiment
and an exported one are decided by the same code.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Arm
from feedback.domain.trial import HOLDBACK, Look, Part, Trial, TrialStage
from feedback.store.tables.conversations import interactions
from feedback.store.tables.feedback import corrections, vote_events
from feedback.store.tables.learning import adapters, assignments
from feedback.store.tables.trials import shadow_answers

_RANK = {
    "assigned": 0,
    "stage": 1,
    "delivered": 2,
    "undelivered": 2,
    "scored": 3,
    "feedback": 4,
    "tick": 9,
}


def told_about(experiment_id: str) -> ColumnElement[bool]:
    """Returns the condition that an answer tells something about an experiment.

    Its thread takes part and was answered as its arm says. An answer in the champion's arm tells
    about every experiment that its thread takes part in, whichever of them it names.
    """
    ours = exists().where(
        assignments.c.experiment_id == experiment_id,
        assignments.c.thread_key == interactions.c.thread_key,
        assignments.c.arm == interactions.c.arm,
        assignments.c.forced_reason.is_(None),
    )
    named = interactions.c.experiment_id == experiment_id
    return ours & (named | (interactions.c.arm == Arm.CHAMPION))


def _told_while_it_ran(trial: Trial) -> ColumnElement[bool]:
    """Narrows `told_about` for a log: once it is over, threads go on for other experiments only."""
    told = told_about(trial.id)
    return told if trial.ended_at is None else told & (interactions.c.answered_at <= trial.ended_at)


class SqlExperimentLog:
    """Reads logs; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rows(
        self, trial: Trial, stages: Iterable[TrialStage], looks: Iterable[Look], part: Part
    ) -> list[dict[str, Any]]:
        """Returns the events of one part in order, in the row format of `experiment replay`."""
        stages = [stage for stage in stages if (stage.stage == HOLDBACK) is (part is Part.HOLDBACK)]
        rows: list[dict[str, Any]] = [
            {
                "id": f"stage:{stage.seq}",
                "ts": stage.entered_at.timestamp(),
                "type": "stage",
                "stage": stage.stage,
                "share": stage.share,
            }
            for stage in stages
        ]
        assigned = await self._assigned(trial, part)
        threads = {row["thread"] for row in assigned}
        answers = await self._answers(trial)
        effects = [row for answer in answers for row in _answer_events(answer, trial.slow_ms)]
        effects += await self._opinions(trial)
        effects = [row for row in effects if row["thread"] in threads]
        rows += [*assigned, *_after_assignment(effects, assigned)]
        rows += [row for look in looks for row in _look_events(look, part)]
        if part is Part.TEST:
            rows += await self._pair_votes(trial)
        rows.sort(key=lambda row: (row["ts"], _RANK.get(row["type"], 5), row["id"]))
        first = {
            "id": f"experiment:{trial.id}",
            "ts": (stages[0].entered_at if stages else trial.started_at).timestamp(),
            "type": "experiment",
            "policy": dict(trial.policy),
            "arms": await self._arms(trial),
            "metrics": ["tone", "ground", "error", *(["slow"] if trial.slow_ms else [])],
        }
        return [{**row, "seq": seq} for seq, row in enumerate([first, *rows])]

    async def _arms(self, trial: Trial) -> list[dict[str, str]]:
        """Returns the arms, champion first, with the sha256 of their adapters; base has none."""
        names = {"champion": trial.champion_id, "challenger": trial.challenger_id}
        rows = await self._connection.execute(
            select(adapters.c.id, adapters.c.sha256).where(adapters.c.id.in_(names.values()))
        )
        shas: dict[str, str] = {row.id: row.sha256 for row in rows}
        return [
            {"name": arm, **({"sha": shas[name]} if name in shas else {})}
            for arm, name in names.items()
        ]

    async def _pair_votes(self, trial: Trial) -> list[dict[str, Any]]:
        statement = select(shadow_answers).where(
            shadow_answers.c.experiment_id == trial.id, shadow_answers.c.winner.is_not(None)
        )
        start = trial.started_at.timestamp()
        return [
            {
                "id": f"pair:{row['id']}",
                "ts": max(row["voted_at"].timestamp(), start),
                "type": "pair_vote",
                "pair": row["id"],
                "user": row["voted_by"] or "",
                "winner": row["winner"],
            }
            for row in (await self._connection.execute(statement)).mappings()
        ]

    async def _assigned(self, trial: Trial, part: Part) -> list[dict[str, Any]]:
        statement = select(assignments).where(
            assignments.c.experiment_id == trial.id,
            (assignments.c.stage == HOLDBACK) == (part is Part.HOLDBACK),
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
                # Not drawn, so not analysed, but counted.
                **({"forced_reason": row["forced_reason"]} if row["forced_reason"] else {}),
            }
            for row in (await self._connection.execute(statement)).mappings()
        ]

    async def _answers(self, trial: Trial) -> list[RowMapping]:
        statement = select(interactions).where(_told_while_it_ran(trial))
        return list((await self._connection.execute(statement)).mappings())

    async def _opinions(self, trial: Trial) -> list[dict[str, Any]]:
        voted = (
            select(vote_events, interactions.c.thread_key)
            .join(interactions, interactions.c.id == vote_events.c.interaction_id)
            .where(_told_while_it_ran(trial))
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
            .where(_told_while_it_ran(trial))
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


def _look_events(look: Look, part: Part) -> list[dict[str, Any]]:
    """What a look tells the log: that somebody looked, and a file that is not what it was."""
    if look.part is not part:
        return []
    ts = look.at.timestamp()
    changed = [
        {"id": f"sha:{look.at.isoformat()}:{arm}", "ts": ts, "type": "adapter_sha", "arm": arm}
        | {"sha": sha}
        for arm, sha in sorted(look.shas.items())
    ]
    return [*changed, {"id": f"tick:{look.at.isoformat()}", "ts": ts, "type": "tick"}]


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
