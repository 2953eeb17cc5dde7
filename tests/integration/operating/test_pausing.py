"""A paused experiment: no new thread joins, what takes part goes on, and nothing moves forward."""

from dataclasses import replace

import pytest

from feedback.clock import FixedClock
from feedback.domain.trial import Verdict
from feedback.errors import ConflictError, InvalidInputError, NotFoundError
from feedback.operations import standing
from feedback.pausing import set_pause
from feedback.promoting import decide_promotion, request_promotion
from feedback.store.unit_of_work import Store
from retrain.experiments.machine import Trigger
from tests.integration.operating.crowd import Theatre, better, open_cycle, worse
from tests.integration.operating.stage import NOW
from tests.integration.operating.test_experiment_life import ADMIN, champion, states
from tests.integration.operating.test_traffic import notices


@pytest.fixture
def theatre(store: Store) -> Theatre:
    return Theatre(store=store, clock=FixedClock(NOW))


async def pause(theatre: Theatre, *, on: bool = True) -> str:
    async with theatre.store.begin() as tx:
        return await set_pause(tx, replace(ADMIN, at=theatre.clock.now()), on=on)


async def test_it_is_audited_announced_and_done_once(theatre: Theatre) -> None:
    await theatre.to_stage(await open_cycle(theatre.store), "CANARY")
    before = await theatre.trial()
    assert "new threads go to the champion" in await pause(theatre)
    assert await pause(theatre) == "e-c-new is paused already."
    trial = await theatre.trial()
    assert (trial.paused_at, trial.paused_by) == (theatre.clock.now(), "U0ADMIN")
    assert trial.version == before.version, "an approval's card stays good"
    async with theatre.store.begin() as tx:
        route = await tx.routing.route()
        assert (await standing(tx)).paused
    assert [each.paused for each in route.experiments] == [True]
    assert "join the experiment of new again" in await pause(theatre, on=False)
    assert await pause(theatre, on=False) == "e-c-new is not paused."
    async with theatre.store.begin() as tx:
        entries = await tx.audit.entries(subject="experiment:e-c-new", limit=2)
    assert [e.reason for e in entries] == ["resumed: clear enough", "paused: clear enough"]
    told = await notices(theatre.store)
    assert "*Paused*" in told[-2]
    assert "*Resumed*" in told[-1]


async def test_the_ramp_waits_and_goes_on_after(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.to_stage(cycle, "CANARY")
    await pause(theatre)
    theatre.wait(hours=2)
    waiting = await theatre.look(cycle)
    assert waiting.reason.startswith("it is paused, and nothing moves forward; ")
    assert (await theatre.trial()).stage == "CANARY"
    await pause(theatre, on=False)
    await theatre.look(cycle)
    assert (await theatre.trial()).stage == "RAMP"


async def test_evidence_matures_meanwhile_and_promotes_after_it_goes_on(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    trial = await theatre.to_stage(cycle)
    await theatre.look(cycle)
    await pause(theatre)
    await theatre.meet(trial, better)  # asked before the pause, judged during it
    for _ in range(2):
        assert (await theatre.look(cycle)).wait
        theatre.wait(minutes=1)
    row = (await theatre.trial()).evidence or {}
    assert row["counts"]["challenger"]["matured_rated"] > 40
    assert row["evidence"]["primary"] > 20
    await pause(theatre, on=False)
    assert (await theatre.look(cycle)).outcome is None
    assert (await theatre.trial()).state == "PROMOTING"
    assert (await champion(theatre.store))[1] is None, "nothing was taken for other evidence"


async def test_harm_ends_it_even_so(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    trial = await theatre.to_stage(cycle)
    await pause(theatre)
    await theatre.meet(trial, worse, 160)
    assert (await theatre.look(cycle)).gate == "REJECTED_HARM"
    ended = await theatre.trial()
    assert (ended.paused_at, ended.paused_by) == (None, ""), "an end is not paused"


async def test_harm_that_shows_after_it_was_proven_is_not_overlooked(theatre: Theatre) -> None:
    """Not paused it would have been promoted; paused, the earlier good word does not stand."""
    cycle = await open_cycle(theatre.store)
    trial = await theatre.to_stage(cycle)
    await pause(theatre)
    await theatre.meet(trial, better)
    assert (await theatre.look(cycle)).wait
    await theatre.meet(trial, worse, 400)
    assert (await theatre.look(cycle)).gate == "REJECTED_HARM"


async def test_an_approval_waits_until_it_goes_on(theatre: Theatre) -> None:
    theatre.approval = True
    cycle = await open_cycle(theatre.store)
    await theatre.meet(await theatre.to_stage(cycle), better)
    await theatre.look(cycle)
    await pause(theatre)
    asked = await theatre.trial()
    async with theatre.store.begin() as tx:
        act = replace(ADMIN, at=theatre.clock.now())
        ruled = await decide_promotion(tx, act, asked.id, asked.version, Verdict.GRANTED)
    assert ruled.effective
    theatre.wait(hours=80)
    assert "approved; it is paused" in (await theatre.look(cycle)).reason
    await pause(theatre, on=False)
    assert "approved by U0ADMIN" in (await theatre.look(cycle)).reason
    assert (await states(theatre.store))[-1] == "PROMOTING"


async def test_it_cannot_be_promoted_by_hand_meanwhile(theatre: Theatre) -> None:
    await theatre.to_stage(await open_cycle(theatre.store))
    await pause(theatre)
    async with theatre.store.begin() as tx:
        with pytest.raises(InvalidInputError, match="Resume it first"):
            await request_promotion(tx, ADMIN, seen=await standing(tx))


async def test_a_request_that_waits_is_refused_once_it_is_paused(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.to_stage(cycle)
    async with theatre.store.begin() as tx:
        await request_promotion(tx, ADMIN, seen=await standing(tx))
    await pause(theatre)
    assert (await theatre.look(cycle)).wait
    assert "paused" in (await notices(theatre.store))[-1]
    assert (await theatre.trial()).state == "TEST"


async def test_a_pause_between_reading_and_moving_is_heard(theatre: Theatre) -> None:
    """The scheduler read it before somebody paused it: its move forward does not count."""
    await theatre.to_stage(await open_cycle(theatre.store), "CANARY")
    read = await theatre.trial()
    await pause(theatre)
    with pytest.raises(ConflictError, match="paused or resumed"):
        async with theatre.store.begin() as tx:
            await theatre.mover.move(
                tx, read, Trigger.ENTER_RAMP, "enough", stage="RAMP", share=0.25
            )
    assert (await theatre.trial()).stage == "CANARY"


async def test_what_cannot_be_paused_says_what_to_do(theatre: Theatre) -> None:
    with pytest.raises(InvalidInputError, match="No experiment is running"):
        await pause(theatre)
    cycle = await open_cycle(theatre.store)
    await theatre.meet(await theatre.to_stage(cycle), better)
    await theatre.look(cycle)
    with pytest.raises(InvalidInputError, match=r"promotion is decided.* Roll it back"):
        await pause(theatre)
    async with theatre.store.begin() as tx:
        with pytest.raises(NotFoundError):
            await set_pause(tx, ADMIN, on=True, experiment="e-none")
