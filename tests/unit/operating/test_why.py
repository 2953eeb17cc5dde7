"""Why (not) this week: what is missing, how fast it comes, when it may be there."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback.domain.cycle import Cycle, CycleOutcome, CycleState
from feedback.domain.outlook import Gate, GateState, Outlook
from feedback.domain.pattern import Pattern, PatternKind, Verdict
from feedback.domain.prospects import Frozen, TrialFacts
from feedback.domain.trial import Trial
from feedback.domain.weighing import weigh
from feedback.domain.why import LearningFacts, Thresholds, why

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SUNDAY = datetime(2026, 3, 8, 3, tzinfo=UTC)


def pattern(size: int, verdict: Verdict, label: str = "seats, price") -> Pattern:
    return Pattern(
        id=f"p-{label}",
        kind=PatternKind.REPEATED_ERROR,
        label=label,
        keywords=(),
        size=size,
        users=3,
        verdict=verdict,
        verdict_reasons=(),
        example_ids=(),
        member_ids=(),
        score=1.0,
        first_seen=0.0,
        last_seen=1.0,
        centroid=(),
    )


READY = LearningFacts(
    thresholds=Thresholds(label_gate=1000, min_fine_tune_failures=30, untried_share=0.2),
    labels=1200,
    labels_lately=70,
    waiting=12,
    clean=1100,
    patterns=(pattern(40, Verdict.FINE_TUNE),),
    failures_lately=7,
    open_cycles=(),
    last_cycle=None,
    next_cycle_at=SUNDAY,
    frozen=None,
)
CYCLE = Cycle(
    id="c1",
    state=CycleState.DONE,
    version=3,
    trigger="schedule",
    requested_by="schedule",
    outcome=CycleOutcome.NOT_NEEDED,
    reason="too few",
    started_at=NOW - timedelta(days=3),
    updated_at=NOW,
    ended_at=NOW,
)


def gate(outlook: Outlook, name: str) -> Gate:
    return next(item for item in outlook.gates if item.gate == name)


def test_nothing_in_the_way() -> None:
    outlook = why(READY, [], NOW).training
    assert outlook.closed == ()
    assert "Nothing stands in the way" in outlook.headline
    assert outlook.expected == SUNDAY, "open gates wait for the schedule"


def test_missing_labels_have_a_date_from_the_recent_rate() -> None:
    outlook = why(replace(READY, labels=900), [], NOW).training
    labels = gate(outlook, "labels")
    assert (labels.state, labels.missing, labels.per_day) == (GateState.CLOSED, 100, 10.0)
    assert labels.expected == NOW + timedelta(days=10)
    assert outlook.expected == labels.expected
    assert "12 wait for a reviewer" in labels.reason
    assert outlook.headline == "No training yet: the gate labels is closed."


def test_the_slowest_gate_decides_and_the_schedule_is_waited_for() -> None:
    soon = replace(READY, labels=990, patterns=(pattern(28, Verdict.FINE_TUNE),))
    outlook = why(soon, [], NOW).training
    assert gate(outlook, "labels").expected == NOW + timedelta(days=1)
    assert gate(outlook, "patterns").expected == NOW + timedelta(days=2)
    assert outlook.expected == SUNDAY


def test_no_date_without_a_rate() -> None:
    outlook = why(replace(READY, labels=900, labels_lately=0), [], NOW).training
    assert gate(outlook, "labels").expected is None
    assert outlook.expected is None
    text = "\n".join(why(replace(READY, labels=900, labels_lately=0), [], NOW).lines())
    assert "none came in the last 7 days" in text
    assert "nobody can tell yet" in text


def test_cheaper_fixes_and_the_last_cycle_are_named() -> None:
    facts = replace(
        READY,
        patterns=(pattern(400, Verdict.DOCUMENT, "refund"),),
        last_cycle=CYCLE,
        frozen=Frozen(by="U1", since=NOW),
    )
    outlook = why(facts, [], NOW).training
    assert [item.gate for item in outlook.closed] == ["patterns", "cheaper fixes"]
    assert "refund (document, 400)" in gate(outlook, "cheaper fixes").reason
    assert "not needed: too few" in gate(outlook, "last cycle").reason
    assert gate(outlook, "frozen").state is GateState.NOTE


def test_a_cycle_at_work_stands_in_the_way() -> None:
    cycle = replace(CYCLE, state=CycleState.EXPERIMENTING, outcome=None, ended_at=None)
    outlook = why(replace(READY, open_cycles=(cycle,)), [], NOW).training
    assert [item.gate for item in outlook.closed] == ["running cycle"]
    assert outlook.expected is None
    assert "at work (experimenting)" in outlook.headline


@pytest.mark.parametrize("labels", [0, 999, 1000, 5000])
@pytest.mark.parametrize("size", [0, 29, 30])
@pytest.mark.parametrize("untried", [0, 7, 8])
def test_the_report_and_the_cycle_agree(labels: int, size: int, untried: int) -> None:
    patterns = (pattern(size, Verdict.FINE_TUNE), pattern(untried, Verdict.DOCUMENT, "refund"))
    facts = replace(READY, labels=labels, patterns=patterns)
    closed = {item.gate for item in why(facts, [], NOW).training.closed}
    assert (not closed) == weigh(patterns, labels, facts.thresholds).train


def trial(**changes: object) -> Trial:
    evidence = {
        "decision": "HOLD_duration",
        "day": 4.0,
        "evidence": {
            "harm": 0.4,
            "guardrails": {"tone": 1.5, "slow": 120.0},
            "log": {"primary": 1.0},
        },
        "plan": {
            "thresholds": {"primary": 20.0, "harm": 20.0, "guardrails": 100.0},
            "timeout_days": 28.0,
        },
        "waiting_for": [
            {"gate": "evidence", "reason": "promote E is 2.7, needs 20", "needs": {}},
            {"gate": "duration", "reason": "needs day 7", "needs": {"days": 6.0}},
            {
                "gate": "samples",
                "reason": "needs 50 rated",
                "needs": {"champion_rated": 20, "challenger_rated": 10},
            },
            {"gate": "recency", "reason": "no rated thread in the newer half", "needs": {}},
        ],
    }
    base = Trial(
        id="e1",
        cycle_id="c1",
        challenger_id="new",
        champion_id=None,
        salt="",
        policy={},
        slow_ms=None,
        state="TEST",
        stage="TEST",
        share=0.5,
        version=9,
        decision="HOLD_duration",
        evidence=evidence,
        started_at=NOW - timedelta(days=4),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


LATELY = {"champion_rated": 14, "challenger_rated": 70}


def test_a_running_experiment_tells_every_gate() -> None:
    outlook = why(READY, [TrialFacts(trial=trial(), lately=LATELY)], NOW).promotions[0]
    assert [item.gate for item in outlook.closed] == [
        "evidence",
        "duration",
        "samples",
        "recency",
        "guardrail slow",
    ]
    samples = gate(outlook, "samples")
    assert (samples.missing, samples.unit, samples.per_day) == (20, "champion rated threads", 2.0)
    assert samples.expected == NOW + timedelta(days=10)
    assert gate(outlook, "duration").expected == NOW + timedelta(days=6)
    evidence = gate(outlook, "evidence")
    assert "is 2.72 and must reach 20" in evidence.reason
    assert evidence.expected is not None
    # log 20 is 2.996; at one log unit in four days there are 8 days to go.
    assert (evidence.expected - NOW).total_seconds() == pytest.approx(7.983 * 86400, rel=1e-3)
    assert outlook.expected is None, "nobody can tell when recency opens"
    assert gate(outlook, "harm").state is GateState.OPEN
    assert "2026-03-28" in gate(outlook, "time out").reason


def test_frozen_stands_in_the_way_of_a_promotion() -> None:
    frozen = replace(READY, frozen=Frozen(by="U1", since=NOW))
    outlook = why(frozen, [TrialFacts(trial=trial(), lately={})], NOW).promotions[0]
    assert outlook.closed[0].gate == "frozen"


def test_paused_stands_in_the_way_with_who_and_when() -> None:
    paused = trial(paused_at=NOW, paused_by="amira")
    outlook = why(READY, [TrialFacts(trial=paused, lately=LATELY)], NOW).promotions[0]
    assert outlook.closed[0].gate == "paused"
    assert "amira paused it on 2026-03-04" in outlook.closed[0].reason
    unmet = replace(paused, stage="", state="LOADED")
    outlook = why(READY, [TrialFacts(trial=unmet, lately={})], NOW).promotions[0]
    assert [item.gate for item in outlook.closed] == ["paused", "loaded"]


def test_an_undecided_end_says_whether_a_person_may_go_over_it() -> None:
    over = TrialFacts(
        trial=trial(ended_at=NOW, state="INCONCLUSIVE"), lately={}, by_hand="an admin may"
    )
    gates = why(READY, [over], NOW).promotions[0].gates
    assert [(item.gate, item.reason) for item in gates[1:]] == [("by hand", "an admin may")]
    asked = replace(over, requested_by="U1")
    assert "U1 asked" in why(READY, [asked], NOW).promotions[0].gates[1].reason


def test_without_an_experiment_there_is_nothing_to_promote() -> None:
    assert why(READY, [], NOW).promotions[0].closed[0].gate == "experiment"
    ended = trial(ended_at=NOW, decision="FUTILE")
    (only,) = why(READY, [TrialFacts(trial=ended, lately={})], NOW).promotions[0].gates
    assert "new ended on 2026-03-04 as FUTILE" in only.reason


def test_an_experiment_that_nobody_looked_at_yet() -> None:
    fresh = trial(evidence=None, decision=None)
    outlook = why(READY, [TrialFacts(trial=fresh, lately={}, requested_by="U1")], NOW).promotions[0]
    assert "nothing has been looked at" in gate(outlook, "evidence").reason
    assert "U1 asked" in gate(outlook, "by hand").reason


def test_before_the_first_data_set_nothing_is_said_of_it() -> None:
    facts = replace(READY, clean=None, waiting=0)
    assert gate(why(facts, [], NOW).training, "labels").reason == (
        "1,200 of 1,000 approved corrections"
    )


def test_it_is_json() -> None:
    report = why(READY, [TrialFacts(trial=trial(), lately=LATELY)], NOW)
    row = json.loads(json.dumps(report.to_row()))
    assert row["training"]["expected"] == SUNDAY.isoformat()
    assert {item["state"] for item in row["promotions"][0]["gates"]} == {"open", "closed", "note"}
