"""View models: from what the record holds to what a page shows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from feedback.domain.audit import AuditEntry
from feedback.domain.cycle import Cycle, CycleOutcome, CycleState
from feedback.domain.learning import RunState, TrainingRun
from feedback.domain.pattern import Pattern, PatternEvent, PatternKind, PatternStatus, Verdict
from feedback.domain.trial import Trial, TrialStage
from feedback.store.explanations import AnswerLine
from feedback.store.overview import LabelCounts
from feedback.web.views.cycle import gates_view, steps_of
from feedback.web.views.experiment import experiment_view
from feedback.web.views.overview import label_gate, last_cycle, pulse
from feedback.web.views.pattern import PatternRecord, pattern_detail, pattern_view
from feedback.web.views.training import training_view

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def cycle(state: CycleState, outcome: CycleOutcome | None = None) -> Cycle:
    return Cycle(
        id="c1",
        state=state,
        version=1,
        trigger="schedule",
        requested_by="schedule",
        outcome=outcome,
        started_at=NOW,
        updated_at=NOW,
        ended_at=NOW if outcome else None,
    )


def trail(*states: CycleState) -> list[AuditEntry]:
    """The audit entries of a cycle that went through these states, two minutes each."""
    pairs = zip(("", *states), states, strict=False)
    return [
        AuditEntry(
            id=number,
            hash="h",
            subject="cycle:c1",
            from_state=before,
            to_state=after,
            actor="scheduler",
            reason=f"to {after}",
            data={},
            at=NOW + number * timedelta(minutes=2),
        )
        for number, (before, after) in enumerate(pairs)
    ]


def test_steps_of_a_running_cycle() -> None:
    entries = trail(CycleState.MINING, CycleState.WEIGHING, CycleState.BUILDING)
    steps = steps_of(cycle(CycleState.BUILDING), entries[::-1])
    assert [step.status for step in steps] == ["done", "done", "now", *["todo"] * 6]
    assert [step.seconds for step in steps[:3]] == [120, 120, None]


def test_steps_of_a_stopped_cycle_show_where_it_ended() -> None:
    states = list(CycleState)
    entries = trail(*states[: states.index(CycleState.GATING) + 1], CycleState.DONE)
    steps = steps_of(cycle(CycleState.DONE, CycleOutcome.STOPPED), entries)
    assert [step.status for step in steps] == [*["done"] * 5, "ended", *["todo"] * 3]
    assert steps[5].reason == "to done"


def test_steps_of_a_promoted_cycle_are_all_done() -> None:
    steps = steps_of(cycle(CycleState.DONE, CycleOutcome.PROMOTED), trail(*CycleState))
    assert {step.status for step in steps} == {"done"}


def test_a_cycle_whose_trail_is_lost_still_has_its_steps() -> None:
    steps = steps_of(cycle(CycleState.TRAINING), [])
    assert [step.status for step in steps].count("now") == 1


def test_the_last_cycle_is_the_newest_ended_one() -> None:
    running, ended = cycle(CycleState.MINING), cycle(CycleState.DONE, CycleOutcome.NOT_NEEDED)
    found = last_cycle([running, ended, cycle(CycleState.DONE, CycleOutcome.PROMOTED)])
    assert found is not None
    assert found.headline == "No training this time"
    assert last_cycle([running]) is None


@pytest.mark.parametrize(
    ("age_s", "tick_s", "late"),
    [(0, 5.0, False), (119, 5.0, False), (121, 5.0, True), (121, 60.0, False), (721, 60.0, True)],
)
def test_the_pulse_is_late_after_a_dozen_looks(age_s: int, tick_s: float, late: bool) -> None:
    looked = (NOW - timedelta(seconds=age_s)).isoformat()
    assert pulse(looked, NOW, tick_s).late is late


def test_a_scheduler_that_never_looked_is_late() -> None:
    assert pulse(None, NOW, 5.0).late


def test_the_label_gate_counts_what_may_train() -> None:
    gate = label_gate(LabelCounts(approved=70, trainable=45, waiting=3), 60, 40)
    assert (gate.missing, gate.share) == (15, 0.75)
    full = label_gate(LabelCounts(approved=70, trainable=70, waiting=3), 60, None)
    assert (full.missing, full.share) == (0, 1.0)


RUN = TrainingRun(
    id="run-c1",
    dataset_id="d",
    base_model="b",
    spec={},
    state=RunState.RUNNING,
    started_at=NOW,
)


def test_a_run_before_its_first_report() -> None:
    view = training_view(RUN)
    assert (view.share, view.loss, view.curve) == (0.0, None, None)


def test_a_run_at_work() -> None:
    progress = {"step": 30, "total_steps": 120, "eta_s": 9.5, "curve": [[15, 2.0], [30, 1.0]]}
    view = training_view(replace(RUN, progress=progress))
    assert (view.share, view.loss, view.seconds_left) == (0.25, 1.0, 9.5)
    assert view.curve is not None
    assert view.curve.rows == (("15", "2.000"), ("30", "1.000"))


def test_a_finished_run_is_told_from_its_result() -> None:
    result = {"steps": 120, "seconds": 88.0, "losses": [[60, 1.0], [120, 0.5]]}
    progress = {"step": 110, "total_steps": 120, "eta_s": 1.0}
    view = training_view(replace(RUN, state=RunState.FINISHED, progress=progress, result=result))
    assert (view.share, view.loss, view.seconds, view.seconds_left) == (1.0, 0.5, 88.0, None)


def test_a_second_stage_is_told_while_it_runs_and_when_it_was_left_out() -> None:
    progress = {"step": 8, "total_steps": 9, "stage": "preferences", "second_from": 7}
    curve = {"curve": [[5, 2.0], [7, 0.7], [8, 0.6]]}
    view = training_view(replace(RUN, progress={**progress, **curve}))
    assert view.second_stage == "from step 7, on corrections and wrong answers"
    assert view.curve is not None
    assert [row["stage"] for row in view.curve.spec["data"]["values"]] == [
        "examples",
        "preferences",
        "preferences",
    ]
    result = {"steps": 5, "preference_skipped": "3 corrections, and 100 are needed"}
    done = training_view(replace(RUN, state=RunState.FINISHED, result=result))
    assert done.second_stage == "left out: 3 corrections, and 100 are needed"
    assert training_view(RUN).second_stage == ""


TRIAL = Trial(
    id="e1",
    cycle_id="c1",
    challenger_id="a2",
    champion_id=None,
    salt="s",
    policy={},
    slow_ms=None,
    state="RAMP",
    stage="RAMP",
    share=0.25,
    version=2,
    started_at=NOW - timedelta(days=3),
)
PLAN: dict[str, Any] = {
    "thresholds": {"primary": 20.0, "harm": 20.0, "guardrails": 100.0},
    "ramp": [
        {"stage": "CANARY", "share": 0.05, "min_threads": 20, "min_hours": 24.0},
        {"stage": "RAMP", "share": 0.25, "min_threads": 60, "min_hours": 0.0},
        {"stage": "TEST", "share": 0.5, "min_threads": None, "min_hours": 0.0},
    ],
    "timeout_days": 28.0,
}


def test_an_experiment_nobody_has_looked_at() -> None:
    view = experiment_view(TRIAL, (), NOW)
    assert view.decision == "NONE"
    assert (view.evidence, view.evidence_chart, view.counts, view.lift) == ((), None, (), None)


def test_evidence_stands_beside_its_threshold() -> None:
    evidence = {"primary": 21.0, "harm": 0.5, "guardrails": {"tone": 3.0}, "futility": 1.0}
    row = {"reason": "r", "evidence": evidence, "plan": PLAN}
    view = experiment_view(replace(TRIAL, evidence=row), (), NOW)
    assert [(e.name, e.e, e.threshold, e.reached) for e in view.evidence] == [
        ("better", 21.0, 20.0, True),
        ("worse, by outcomes", 0.5, 20.0, False),
        ("no lift worth finding", 1.0, None, False),
        ("more off brand", 3.0, 100.0, False),
    ]
    assert view.latest_end == TRIAL.started_at + timedelta(days=28)


def test_the_ramp_shows_passed_present_and_planned_stages() -> None:
    passed = [
        TrialStage(seq=0, stage="CANARY", share=0.05, entered_at=NOW - timedelta(days=3)),
        TrialStage(seq=2, stage="RAMP", share=0.25, entered_at=NOW - timedelta(days=1)),
    ]
    view = experiment_view(replace(TRIAL, evidence={"plan": PLAN}), passed, NOW)
    assert [stage.status for stage in view.stages] == ["done", "now", "todo"]
    assert view.stages[0].needs == "20 challenger threads and 24 h"
    assert view.stages[2].needs == "until it is decided"
    ended = experiment_view(replace(TRIAL, ended_at=NOW), passed, NOW)
    assert [stage.status for stage in ended.stages] == ["done", "done"]
    assert not ended.running


def test_how_often_people_rate_needs_answers_in_both_arms() -> None:
    counts = {"champion": {"delivered": 10, "rated": 4}, "challenger": {"delivered": 0, "rated": 0}}
    view = experiment_view(replace(TRIAL, evidence={"counts": counts}), (), NOW)
    assert view.response is None
    counts["challenger"] = {"delivered": 5, "rated": 1}
    view = experiment_view(replace(TRIAL, evidence={"counts": counts}), (), NOW)
    assert view.response == (0.4, 0.2)


@pytest.mark.parametrize(
    ("low", "high", "shown"), [(-1.0, 1.0, False), (-1.0, 0.9, True), (0.05, 0.3, True)]
)
def test_a_lift_is_told_when_anything_is_ruled_out(low: float, high: float, shown: bool) -> None:
    lift = {"lift": {"estimate": 1.26, "low": low, "high": high}}
    view = experiment_view(replace(TRIAL, evidence={"evidence": lift}), (), NOW)
    assert (view.lift is not None) is shown


def test_gates_that_were_not_measured_stay_out_of_the_chart() -> None:
    measured = {"gate": "facts", "status": "pass", "champion": 0.9, "challenger": 0.9, "n": 30}
    unknown = {"gate": "on_brand", "status": "cannot_tell", "n": 0, "reason": "r", "champion": None}
    view = gates_view({"passed": False, "headline": "h", "results": [measured, unknown]})
    assert [gate.gate for gate in view.rows] == ["facts", "on brand"]
    assert view.chart is not None
    assert view.chart.rows == (("facts", "90.0 %", "90.0 %"),)
    assert gates_view({"passed": False, "results": [unknown]}).chart is None


PATTERN = Pattern(
    id="p1",
    kind=PatternKind.TONE,
    label="",
    keywords=("cold", "short"),
    size=9,
    users=3,
    verdict=Verdict.FINE_TUNE,
    verdict_reasons=("r",),
    example_ids=("i1", "i2"),
    evidence_ids=("i2", "i3"),
    member_ids=("i1", "i2", "i3"),
    score=1.0,
    first_seen=NOW.timestamp(),
    last_seen=NOW.timestamp(),
    centroid=(1.0,),
)


@pytest.mark.parametrize("status", list(PatternStatus))
def test_every_status_offers_something_else(status: PatternStatus) -> None:
    view = pattern_view(replace(PATTERN, status=status))
    assert view.actions
    assert len(set(view.actions)) == len(view.actions)
    assert view.label == "cold, short"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_advice(verdict: Verdict) -> None:
    assert pattern_view(replace(PATTERN, verdict=verdict)).fix


@pytest.mark.parametrize(
    ("ratio", "told"), [(2.0, "rising"), (1.0, "steady"), (0.5, "falling"), (0.0, "falling")]
)
def test_trends(ratio: float, told: str) -> None:
    assert pattern_view(replace(PATTERN, trend=ratio)).trend == told


def test_an_example_is_not_shown_twice_and_erased_ones_are_left_out() -> None:
    lines = [
        AnswerLine(
            id=name,
            asked_at=NOW,
            question="q",
            answer="a",
            state="posted",
            abstained=False,
            up=0,
            down=1,
            correction=None,
        )
        for name in ("i3", "i2")
    ]
    detail = pattern_detail(PATTERN, PatternRecord(lines=lines, per_day={date(2026, 3, 1): 2}))
    assert [line.id for line in detail.examples] == ["i2"]
    assert [line.id for line in detail.evidence] == ["i3"]
    assert (detail.others, detail.chart) == (8, None)


def test_a_pattern_s_history_is_told_from_its_own_side() -> None:
    events = [
        PatternEvent(pattern_id=PATTERN.id, change="new", other_id=None, at=NOW),
        PatternEvent(pattern_id="part", change="split", other_id=PATTERN.id, at=NOW),
        PatternEvent(pattern_id=PATTERN.id, change="merged", other_id="heir", at=NOW),
    ]
    detail = pattern_detail(PATTERN, PatternRecord(lines=(), per_day={}, events=events))
    assert [(item.what, item.other_id) for item in detail.history] == [
        ("first found", None),
        ("a part split off:", "part"),
        ("went into", "heir"),
    ]
