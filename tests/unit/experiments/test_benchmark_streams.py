"""The benchmark's shortcut (arrays without events) is the engine's own view of those events."""

import numpy as np
import pytest

from retrain.experiments.decision import Analysis, decide
from retrain.experiments.events import (
    Assigned,
    Delivered,
    Event,
    ExperimentOpened,
    FeedbackGiven,
    Scored,
    Vote,
)
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import ExperimentPolicy
from tests.benchmarks.experiment_streams import Month, Team, case_of, month


def log_of(run: Month, policy: ExperimentPolicy) -> ExperimentLog:
    found: list[tuple[float, type[Event], dict[str, object]]] = []
    for i, at in enumerate(run.began.tolist()):
        thread = f"{i:06d}"
        named: dict[str, object] = {"thread": thread, "user": f"{run.user[i]:03d}"}
        chance: dict[str, object] = {"arm": int(run.arm[i]), "share": float(run.share[i])}
        flags = dict(zip(("tone", "ground", "error", "slow"), run.bad[i].tolist(), strict=True))
        found += [
            (at, Assigned, named | chance),
            (at + 20, Delivered, {"thread": thread, "answer": "a"}),
            (at + 30, Scored, {"thread": thread, **flags}),
        ]
        if run.rated[i]:
            vote = Vote.UP if run.outcome[i] == 1.0 else Vote.DOWN
            reply = at + float(run.reply[i])
            found.append((reply, FeedbackGiven, named | {"answer": "a", "vote": vote}))
    found.sort(key=lambda item: item[0])
    events: list[Event] = [ExperimentOpened(id="0", seq=0, ts=0.0, policy=policy)]
    for seq, (at, kind, values) in enumerate(found, start=1):
        events.append(kind(id=str(seq), seq=seq, ts=at, **values))
    return ExperimentLog.of(events)


@pytest.mark.parametrize("lift", [-0.15, 0.0, 0.2])
def test_arrays_and_events_give_the_same_decision(lift: float) -> None:
    policy = ExperimentPolicy()
    run = month(np.random.default_rng(3), Team(lift=lift, per_day=120))
    by_events = decide(log_of(run, policy))
    by_arrays = Analysis(case_of(run, policy)).last()
    assert by_arrays.to_row() == by_events.to_row()
