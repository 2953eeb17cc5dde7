"""The scheduler's side of a promotion by hand: carried out under guards, or refused and told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from feedback.clock import FixedClock
from feedback.domain.cycle import Cycle, CycleOutcome, CycleState, StepResult
from feedback.domain.learning import AdapterState
from feedback.domain.operating import PROMOTABLE_STATES, Act
from feedback.domain.trial import UNDECIDED, Trial
from feedback.operations import set_brake, standing
from feedback.promoting import request_promotion
from feedback.store.unit_of_work import Store
from retrain.cycle.by_hand import CANCELLED, PROMOTED_BY_HAND, Promotions
from retrain.cycle.experimenting import ExperimentingStep
from retrain.cycle.holdback import PromotingStep
from retrain.cycle.overriding import Overrides
from retrain.cycle.runner import CycleRunner
from retrain.cycle.stage import ExperimentSetup
from retrain.cycle.trials import TrialMover
from retrain.experiments.machine import TABLE, Trigger
from retrain.scheduling.schedule import CycleSchedule
from tests.integration.operating.stage import NOW, OPERATORS, add_adapter, serve, set_stage
from tests.integration.operating.test_traffic import notices

CLOCK = FixedClock(NOW + timedelta(hours=1))
ADMIN = Act(by="U0ADMIN", reason="clear enough", at=NOW, channel=OPERATORS)
PROMOTIONS = Promotions(clock=CLOCK, operators_channel=OPERATORS)
SETUP = ExperimentSetup(policy={"profile": "default"}, slow_floor_ms=5000)


async def look(store: Store, cycle: Cycle) -> StepResult:
    return await ExperimentingStep(store, CLOCK, SETUP, PROMOTIONS)(cycle)


async def ask(store: Store) -> None:
    async with store.begin() as tx:
        await request_promotion(tx, ADMIN, seen=await standing(tx))


async def experiment(store: Store) -> Trial:
    async with store.begin() as tx:
        found = await tx.experiments.get("e-c1")
    assert found is not None
    return found


async def outcome(store: Store) -> str | None:
    async with store.begin() as tx:
        request = await tx.promotion_requests.latest()
    assert request is not None
    return request.outcome


def test_both_sides_know_the_same_states() -> None:
    allowed = {state.value for state, trigger in TABLE if trigger is Trigger.OVERRIDDEN}
    assert allowed == PROMOTABLE_STATES | {UNDECIDED}


async def test_a_request_promotes_once_however_often_the_steps_run(store: Store) -> None:
    cycle = await set_stage(store)
    assert (await look(store, cycle)).wait
    await ask(store)
    first, again = await look(store, cycle), await look(store, cycle)
    assert first == again, "a kill between the step and the cycle's commit changes nothing"
    assert first.outcome is None
    assert "U0ADMIN" in first.reason
    assert "clear enough" in first.reason
    assert (await experiment(store)).decision == PROMOTED_BY_HAND
    promote = PromotingStep(store, CLOCK)
    for _ in range(2):
        result = await promote(replace(cycle, reason=first.reason))
        assert result.outcome is CycleOutcome.PROMOTED
    async with store.begin() as tx:
        now = await standing(tx)
        entries = await tx.audit.entries(subject="champion")
        assert await tx.audit.verify() > 2
    assert (now.champion_id, now.champion_version) == ("new", 1)
    assert len(entries) == 1
    assert "clear enough" in entries[0].reason
    assert (await experiment(store)).state == "HOLDBACK"


async def test_the_cycle_ends_as_promoted_and_it_is_told(store: Store) -> None:
    cycle = await set_stage(store)
    runner = CycleRunner(
        store,
        CLOCK,
        CycleSchedule("0 3 * * sun"),
        {
            CycleState.EXPERIMENTING: ExperimentingStep(store, CLOCK, SETUP, PROMOTIONS),
            CycleState.PROMOTING: PromotingStep(store, CLOCK),
        },
        OPERATORS,
    )
    (waiting,) = await runner.tick()
    assert waiting.state is CycleState.EXPERIMENTING
    await ask(store)
    (promoting,), (done,) = await runner.tick(), await runner.tick()
    assert promoting.state is CycleState.PROMOTING
    assert (done.id, done.outcome) == (cycle.id, CycleOutcome.PROMOTED)
    told = await notices(store)
    assert "asked to *promote* new" in told[0]
    assert "*promoted*" in told[1]
    assert "by hand by U0ADMIN: clear enough" in told[1]


async def test_an_unproven_challenger_is_refused_and_it_is_told(store: Store) -> None:
    cycle = await set_stage(store, proven=False)
    await ask(store)
    assert (await look(store, cycle)).wait
    assert "not proven" in str(await outcome(store))
    assert "not* made" in (await notices(store))[-1]
    assert (await experiment(store)).ended_at is None


async def test_a_frozen_experiment_is_not_promoted(store: Store) -> None:
    cycle = await set_stage(store)
    await ask(store)
    async with store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
    assert (await look(store, cycle)).wait
    assert "frozen" in str(await outcome(store))
    assert (await experiment(store)).decision != PROMOTED_BY_HAND


async def test_another_champion_cancels_the_experiment(store: Store) -> None:
    cycle = await set_stage(store)
    await ask(store)
    async with store.begin() as tx:
        await serve(tx, await add_adapter(tx, "other"))
        await tx.adapters.promote("other", version=0, at=NOW)
    for _ in range(2):
        result = await look(store, cycle)
        assert (result.outcome, result.gate) == (CycleOutcome.ENDED, CANCELLED)
    await Overrides(store, TrialMover(clock=CLOCK), PROMOTIONS).look()
    assert "ended first: CANCELLED" in str(await outcome(store))
    async with store.begin() as tx:
        adapter = await tx.adapters.get("new")
        assert (await standing(tx)).champion_id == "other"
    assert adapter is not None
    assert adapter.state is AdapterState.RETIRED


async def test_a_champion_changed_after_the_decision_is_not_overrun(store: Store) -> None:
    cycle = await set_stage(store)
    await ask(store)
    await look(store, cycle)
    async with store.begin() as tx:
        await add_adapter(tx, "other")
        await tx.adapters.promote("other", version=0, at=NOW)
    result = await PromotingStep(store, CLOCK)(cycle)
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, CANCELLED)
    async with store.begin() as tx:
        assert (await standing(tx)).champion_id == "other"


@pytest.mark.parametrize("state", ["CANARY", "RAMP"])
async def test_only_the_last_stage_may_be_promoted_from(store: Store, state: str) -> None:
    cycle = await set_stage(store, state=state)
    async with store.begin() as tx:
        await tx.promotion_requests.add(
            "e-c1", champion_version=0, by="somebody", reason="now", at=NOW
        )
    await look(store, cycle)
    assert "overridden" in str(await outcome(store))
    assert (await experiment(store)).ended_at is None
