"""Every move that is allowed, and that no other is."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.trial import PAUSABLE_STATES
from feedback.errors import ConflictError
from retrain.experiments.decision import decide
from retrain.experiments.machine import (
    ENDS,
    TABLE,
    Effect,
    Standing,
    State,
    Trigger,
    effects,
    stage_trigger,
    transition,
    trigger_of,
)
from retrain.experiments.policy import PROFILES
from tests.unit.experiments.company import Company

FLAGS = (Trigger.PAUSE, Trigger.RESUME, Trigger.FREEZE, Trigger.UNFREEZE)
HAPPY = (
    Trigger.OFFLINE_PASSED,
    Trigger.LOADED,
    Trigger.ENTER_CANARY,
    Trigger.ENTER_RAMP,
    Trigger.ENTER_TEST,
    Trigger.PROVEN,
    Trigger.APPROVED,
    Trigger.POINTER_SWAPPED,
    Trigger.QUIET,
)


def test_the_way_to_champion() -> None:
    standing = Standing(state=State.QUEUED)
    seen = [standing.state]
    for trigger in HAPPY:
        standing = transition(standing, trigger)
        seen.append(standing.state)
    assert [state.value for state in seen] == [
        "QUEUED",
        "OFFLINE_OK",
        "LOADED",
        "CANARY",
        "RAMP",
        "TEST",
        "READY",
        "PROMOTING",
        "HOLDBACK",
        "CHAMPION",
    ]
    assert standing.ended


WRITTEN_DOWN = """
QUEUED offline_passed OFFLINE_OK; offline_failed CANCELLED; cancel CANCELLED
OFFLINE_OK loaded LOADED; load_failed INVALID; cancel CANCELLED
LOADED enter_canary CANARY; enter_ramp RAMP; enter_test TEST; sha_changed INVALID;
    guardrail REJECTED_GUARD; cancel CANCELLED
CANARY enter_ramp RAMP; enter_test TEST; harm REJECTED_HARM; guardrail REJECTED_GUARD;
    srm INVALID; sha_changed INVALID; futile FUTILE; timeout INCONCLUSIVE; cancel CANCELLED;
    rollback CANCELLED
RAMP enter_test TEST; harm REJECTED_HARM; guardrail REJECTED_GUARD; srm INVALID;
    sha_changed INVALID; futile FUTILE; timeout INCONCLUSIVE; cancel CANCELLED; rollback CANCELLED
TEST proven READY; proven_auto PROMOTING; overridden PROMOTING; harm REJECTED_HARM;
    guardrail REJECTED_GUARD; srm INVALID; sha_changed INVALID; futile FUTILE;
    timeout INCONCLUSIVE; cancel CANCELLED; rollback CANCELLED
READY approved PROMOTING; denied CANCELLED; approval_expired TEST; harm REJECTED_HARM;
    guardrail REJECTED_GUARD; srm INVALID; sha_changed INVALID; cancel CANCELLED;
    rollback CANCELLED
PROMOTING pointer_swapped HOLDBACK; cancel CANCELLED; rollback ROLLED_BACK
HOLDBACK quiet CHAMPION; harm ROLLED_BACK; guardrail ROLLED_BACK; srm ROLLED_BACK;
    sha_changed ROLLED_BACK; rollback ROLLED_BACK
INCONCLUSIVE overridden PROMOTING
"""
"""Every move, written down once more, apart from the code that makes them."""


def test_the_table_is_what_was_decided() -> None:
    decided = {}
    for line in WRITTEN_DOWN.replace("\n    ", " ").strip().splitlines():
        state, _, moves = line.partition(" ")
        for move in moves.split("; "):
            trigger, target = move.split()
            decided[State(state), Trigger(trigger)] = State(target)
    assert decided == dict(TABLE)


@pytest.mark.parametrize(
    ("state", "trigger"), list(product(State, [t for t in Trigger if t not in FLAGS]))
)
def test_the_table_is_all_there_is(state: State, trigger: Trigger) -> None:
    standing = Standing(state=state)
    if (state, trigger) in TABLE:
        assert transition(standing, trigger) == Standing(state=TABLE[state, trigger])
        return
    with pytest.raises(ConflictError) as caught:
        transition(standing, trigger)
    assert state.value in str(caught.value)
    assert trigger.value in str(caught.value)


def test_ends_are_ends_but_a_person_may_go_over_a_missing_answer() -> None:
    left = {key: target for key, target in TABLE.items() if key[0] in ENDS}
    assert left == {(State.INCONCLUSIVE, Trigger.OVERRIDDEN): State.PROMOTING}
    assert {target for target in TABLE.values() if target in ENDS} == ENDS
    for state, trigger in product(ENDS, FLAGS):
        with pytest.raises(ConflictError):
            transition(Standing(state=state), trigger)


@pytest.mark.parametrize("state", [State.CANARY, State.RAMP, State.TEST, State.READY])
@pytest.mark.parametrize(
    ("trigger", "end"),
    [
        (Trigger.HARM, State.REJECTED_HARM),
        (Trigger.GUARDRAIL, State.REJECTED_GUARD),
        (Trigger.SRM, State.INVALID),
        (Trigger.SHA_CHANGED, State.INVALID),
    ],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_every_stop_works_at_every_stage_even_frozen(
    state: State, trigger: Trigger, end: State, *, frozen: bool
) -> None:
    before = Standing(state=state, frozen=frozen)
    after = transition(before, trigger)
    assert after.state is end
    assert not after.exposed
    assert effects(before, after) == (Effect.ROUTE_TO_CHAMPION, Effect.NOTIFY)


def test_approval_comes_once_and_in_time() -> None:
    ready = Standing(state=State.READY)
    promoting = transition(ready, Trigger.APPROVED)
    with pytest.raises(ConflictError, match="PROMOTING does not take 'approved'"):
        transition(promoting, Trigger.APPROVED)
    expired = transition(ready, Trigger.APPROVAL_EXPIRED)
    assert expired.state is State.TEST
    assert effects(ready, expired) == (Effect.NOTIFY,)
    with pytest.raises(ConflictError):
        transition(expired, Trigger.APPROVED)
    assert transition(ready, Trigger.DENIED).state is State.CANCELLED


def test_a_freeze_during_promotion_leaves_one_champion() -> None:
    frozen = transition(Standing(state=State.PROMOTING), Trigger.FREEZE)
    with pytest.raises(ConflictError, match="frozen"):
        transition(frozen, Trigger.POINTER_SWAPPED)
    thawed = transition(frozen, Trigger.UNFREEZE)
    assert transition(thawed, Trigger.POINTER_SWAPPED).state is State.HOLDBACK


def test_a_rollback_while_a_promotion_waits() -> None:
    assert transition(Standing(state=State.READY), Trigger.ROLLBACK).state is State.CANCELLED
    before = Standing(state=State.PROMOTING)
    after = transition(before, Trigger.ROLLBACK)
    assert after.state is State.ROLLED_BACK
    assert Effect.RESTORE_POINTER in effects(before, after)


def test_pause_takes_people_away_and_resume_brings_the_stage_back() -> None:
    running = Standing(state=State.RAMP)
    paused = transition(running, Trigger.PAUSE)
    assert running.exposed
    assert not paused.exposed
    assert effects(running, paused)[0] is Effect.ROUTE_TO_CHAMPION
    with pytest.raises(ConflictError):
        transition(paused, Trigger.ENTER_TEST)
    with pytest.raises(ConflictError):
        transition(paused, Trigger.PAUSE)
    resumed = transition(paused, Trigger.RESUME)
    assert resumed == running
    assert effects(paused, resumed) == (Effect.ENTER_STAGE, Effect.NOTIFY)


def test_both_sides_know_what_may_be_paused() -> None:
    pausable = set()
    for state in State:
        try:
            transition(Standing(state=state), Trigger.PAUSE)
        except ConflictError:
            continue
        pausable.add(state.value)
    assert pausable == PAUSABLE_STATES


@pytest.mark.parametrize("state", [State.CANARY, State.RAMP, State.TEST, State.READY])
def test_harm_ends_a_paused_experiment(state: State) -> None:
    paused = Standing(state=state, paused=True)
    assert transition(paused, Trigger.HARM).state is State.REJECTED_HARM


def test_a_frozen_and_paused_experiment_needs_both_lifted() -> None:
    standing = Standing(state=State.TEST)
    for trigger in (Trigger.PAUSE, Trigger.FREEZE):
        standing = transition(standing, trigger)
    thawed = transition(standing, Trigger.UNFREEZE)
    assert not thawed.exposed
    assert effects(standing, thawed) == (Effect.NOTIFY,)


@given(st.lists(st.sampled_from(list(Trigger)), max_size=40))
def test_no_walk_reaches_the_champion_without_evidence_and_a_swap(walk: list[Trigger]) -> None:
    standing, taken = Standing(state=State.QUEUED), []
    for trigger in walk:
        try:
            standing = transition(standing, trigger)
        except ConflictError:
            continue
        taken.append(trigger)
    if standing.state in {State.HOLDBACK, State.CHAMPION}:
        assert Trigger.POINTER_SWAPPED in taken
        assert {Trigger.PROVEN, Trigger.PROVEN_AUTO, Trigger.OVERRIDDEN} & set(taken)
        assert Trigger.OFFLINE_PASSED in taken
        assert Trigger.LOADED in taken


def test_every_ramp_stage_has_its_move() -> None:
    for policy in PROFILES.values():
        standing = Standing(state=State.LOADED)
        for stage in policy.ramp:
            before, standing = standing, transition(standing, stage_trigger(stage))
            assert standing.state == stage.stage
            assert effects(before, standing) == (Effect.ENTER_STAGE,)


def test_decisions_become_moves() -> None:
    promote = decide(
        Company(days=14, per_day=200, rate=lambda arm, _day: 0.9 if arm else 0.7).log()
    )
    assert trigger_of(promote, auto=False) is Trigger.PROVEN
    assert trigger_of(promote, auto=True) is Trigger.PROVEN_AUTO
    harm = decide(Company(days=10, per_day=200, rate=lambda a, _d: 0.4 if a else 0.7).log())
    assert trigger_of(harm, auto=True) is Trigger.HARM
    guard = decide(
        Company(
            days=10,
            per_day=200,
            bad=dict.fromkeys(("tone", "ground", "error", "slow"), (0.02, 0.3)),
        ).log()
    )
    assert trigger_of(guard, auto=True) is Trigger.GUARDRAIL
    waiting = decide(Company(days=1, per_day=20).log())
    assert trigger_of(waiting, auto=True) is None
    ended = decide(Company(days=1, per_day=20, end=True).log())
    assert trigger_of(ended, auto=True) is Trigger.TIMEOUT
