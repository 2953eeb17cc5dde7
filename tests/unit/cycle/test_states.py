"""The cycle's state machine, the schedule and the weighing are pure rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.cycle import Cycle, CycleOutcome, CycleState, StepResult, next_state
from feedback.domain.pattern import Pattern, PatternKind, PatternStatus, Verdict
from feedback.domain.weighing import weigh
from feedback.domain.why import Thresholds
from feedback.errors import ConfigurationError, ConflictError
from retrain.cycle.runner import describe
from retrain.scheduling.schedule import CycleSchedule

OPEN = [state for state in CycleState if state is not CycleState.DONE]


@pytest.mark.parametrize("state", OPEN)
def test_waiting_stays_and_an_outcome_ends(state: CycleState) -> None:
    assert next_state(state, StepResult(reason="", wait=True)) is state
    stopped = StepResult(reason="", outcome=CycleOutcome.STOPPED)
    assert next_state(state, stopped) is CycleState.DONE


def test_the_whole_way() -> None:
    state, seen = CycleState.MINING, [CycleState.MINING]
    while state is not CycleState.DONE:
        state = next_state(state, StepResult(reason=""))
        seen.append(state)
    assert seen == list(CycleState)


def test_a_finished_cycle_does_not_move() -> None:
    with pytest.raises(ConflictError, match="request a new one"):
        next_state(CycleState.DONE, StepResult(reason=""))


def test_missed_weeks_count_once() -> None:
    schedule = CycleSchedule("0 3 * * sun")
    last = datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert schedule.next_after(last) == datetime(2026, 1, 11, 3, tzinfo=UTC)
    assert not schedule.due(last, datetime(2026, 1, 11, 2, 59, tzinfo=UTC))
    assert schedule.due(last, datetime(2026, 1, 11, 3, tzinfo=UTC))
    assert schedule.due(last, datetime(2026, 2, 20, tzinfo=UTC))


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)), st.integers(0, 10**6))
def test_due_agrees_with_the_next_moment(start: datetime, seconds: int) -> None:
    schedule = CycleSchedule("30 4 1 * *")
    last = start.replace(tzinfo=UTC)
    now = last + timedelta(seconds=seconds)
    assert schedule.due(last, now) == (schedule.next_after(last) <= now)


def test_a_bad_schedule_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="UNDERSTUDY_RETRAIN__SCHEDULE='daily'"):
        CycleSchedule("daily")


def _pattern(
    size: int,
    verdict: Verdict = Verdict.FINE_TUNE,
    kind: PatternKind = PatternKind.REPEATED_ERROR,
    status: PatternStatus = PatternStatus.OPEN,
) -> Pattern:
    return Pattern(
        id=f"p{size}{verdict}{kind}{status}",
        kind=kind,
        label="",
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
        status=status,
    )


POLICY = Thresholds(label_gate=100, min_fine_tune_failures=30)


def test_weighing_counts_only_what_training_mends() -> None:
    policy = POLICY
    patterns = [
        _pattern(20),
        _pattern(15, verdict=Verdict.HOLD, kind=PatternKind.TONE),
        _pattern(500, verdict=Verdict.DOCUMENT, status=PatternStatus.ACCEPTED),
        _pattern(300, verdict=Verdict.PROMPT, status=PatternStatus.REJECTED),
        _pattern(400, status=PatternStatus.REJECTED),
    ]
    weighing = weigh(patterns, 100, policy)
    assert weighing.train
    assert weighing.fine_tune_failures == 35


def test_weighing_says_everything_that_is_missing() -> None:
    weighing = weigh([], 40, POLICY)
    assert not weighing.train
    assert "60 are missing" in weighing.reasons[0]
    assert "30 are needed" in weighing.reasons[1]


@pytest.mark.parametrize("verdict", [Verdict.DOCUMENT, Verdict.PROMPT])
@pytest.mark.parametrize("status", list(PatternStatus))
def test_cheaper_fixes_are_tried_or_refused_first(verdict: Verdict, status: PatternStatus) -> None:
    policy = replace(POLICY, instructed=True)
    undecided = status in {PatternStatus.OPEN, PatternStatus.REGRESSION}
    many = [_pattern(40), _pattern(11, verdict=verdict, status=status)]
    weighing = weigh(many, 100, policy)
    assert weighing.train is not undecided
    assert weighing.untried == (11 if undecided else 0)
    few = [_pattern(40), _pattern(10, verdict=verdict, status=status)]
    assert weigh(few, 100, policy).train, "ten of fifty may wait"


def test_an_instruction_is_no_fix_for_a_base_that_follows_none() -> None:
    patterns = [_pattern(20), _pattern(15, verdict=Verdict.PROMPT, kind=PatternKind.TONE)]
    assert weigh(patterns, 100, POLICY).train
    assert weigh(patterns, 100, replace(POLICY, instructed=True)).fine_tune_failures == 20


def test_a_week_without_training_says_where_the_reasons_stand() -> None:
    now = datetime(2026, 1, 11, 3, tzinfo=UTC)
    cycle = Cycle(
        id="c1",
        state=CycleState.DONE,
        version=3,
        trigger="schedule",
        requested_by="schedule",
        outcome=CycleOutcome.NOT_NEEDED,
        gate="labels",
        reason="4 of 5 approved corrections: 1 are missing",
        started_at=now,
        updated_at=now,
        ended_at=now,
    )
    told = describe(cycle)
    assert told.startswith("Cycle c1: *not needed* by the labels gate. 4 of 5")
    assert "/understudy why" in told
    assert "/understudy why" not in describe(replace(cycle, outcome=CycleOutcome.PROMOTED))
    assert "<!here>" not in describe(replace(cycle, reason="denied by somebody: <!here> no"))
