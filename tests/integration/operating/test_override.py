"""A person may go over an experiment that ended undecided: audited, or refused and told."""

from dataclasses import replace

import pytest

from feedback.clock import FixedClock
from feedback.domain.learning import AdapterState
from feedback.domain.operating import PromotionRequest
from feedback.domain.why import Thresholds
from feedback.errors import InvalidInputError
from feedback.operations import roll_back, set_brake, standing
from feedback.promoting import promote
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy, read_why
from retrain.cycle.by_hand import Promotions
from retrain.cycle.overriding import Overrides
from tests.integration.operating.crowd import HASTY, Rate, Theatre, alike, better, open_cycle
from tests.integration.operating.stage import NOW, OPERATORS, add_adapter
from tests.integration.operating.test_experiment_crashes import DyingStore, until_it_lives
from tests.integration.operating.test_experiment_life import ADMIN, champion, states
from tests.integration.operating.test_traffic import notices

NEVER_ENOUGH = {
    **HASTY, "min_delivered": 100_000, "timeout_days": 2.0, "timeout_days_low_traffic": 2.0,
}  # fmt: skip


@pytest.fixture
async def undecided(store: Store) -> Theatre:
    """A better challenger whose experiment timed out, for want of threads."""
    theatre = Theatre(store=store, clock=FixedClock(NOW), policy=NEVER_ENOUGH)
    await timed_out(theatre)
    return theatre


async def timed_out(theatre: Theatre, rate: Rate = better) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.meet(await theatre.to_stage(cycle), rate, 100)
    theatre.wait(days=2)
    assert (await theatre.look(cycle)).gate == "INCONCLUSIVE"


async def ask(theatre: Theatre) -> str:
    async with theatre.store.begin() as tx:
        act = replace(ADMIN, at=theatre.clock.now())
        return await promote(tx, act, seen=await standing(tx))


async def look(theatre: Theatre, store: Store | None = None) -> None:
    promotions = Promotions(clock=theatre.clock, operators_channel=OPERATORS)
    await Overrides(store or theatre.store, theatre.mover, promotions).look()


async def request(theatre: Theatre) -> PromotionRequest:
    async with theatre.store.begin() as tx:
        found = await tx.promotion_requests.latest()
    assert found is not None
    return found


async def test_an_override_promotes_with_its_grounds_in_the_audit_trail(undecided: Theatre) -> None:
    assert (await ask(undecided)).startswith("Asked for: new becomes the champion")
    assert (await champion(undecided.store))[0] is None, "the scheduler does it"
    await look(undecided)
    trial = await undecided.trial()
    assert (trial.state, trial.decision, trial.ended_at) == ("HOLDBACK", "PROMOTED_BY_HAND", None)
    assert (trial.evidence or {})["by_hand"]["reason"] == "clear enough"
    assert (await request(undecided)).outcome == "carried out"
    assert await champion(undecided.store) == ("new", None)
    assert (await states(undecided.store))[-3:] == ["INCONCLUSIVE", "PROMOTING", "HOLDBACK"]
    async with undecided.store.begin() as tx:
        (moved,) = await tx.audit.entries(subject="champion")
        trail = await tx.audit.entries(subject="experiment:e-c-new")
    assert "over an undecided experiment: clear enough" in moved.reason
    assert "offline right rose from 0.41 to 0.83" in moved.reason
    overridden = next(entry for entry in trail if entry.to_state == "PROMOTING")
    assert overridden.actor == "U0ADMIN"
    assert overridden.data["lift"]["low_one_sided"] > -0.03
    asked, told = (await notices(undecided.store))[-2:]
    assert "over an experiment that ended undecided" in asked
    assert "new is the champion: promoted by hand by U0ADMIN" in told


async def test_the_watch_goes_on_as_after_every_promotion(undecided: Theatre) -> None:
    await ask(undecided)
    await look(undecided)
    await undecided.meet(await undecided.trial(), lambda new: 0.3 if new else 0.95, 160)
    await undecided.watch()
    assert (await states(undecided.store))[-1] == "ROLLED_BACK"
    assert (await champion(undecided.store))[0] is None


async def test_killed_at_every_point_it_is_promoted_once(undecided: Theatre) -> None:
    await ask(undecided)
    dying = DyingStore(undecided.store)
    for _ in range(6):
        await until_it_lives(lambda: look(undecided, dying))
    assert dying.deaths > 2
    assert await champion(undecided.store) == ("new", None)
    assert (await states(undecided.store)).count("HOLDBACK") == 1
    assert sum("new is the champion" in told for told in await notices(undecided.store)) == 1


async def test_a_lift_that_may_be_a_loss_is_refused_with_the_figure(store: Store) -> None:
    theatre = Theatre(store=store, clock=FixedClock(NOW), policy=NEVER_ENOUGH)
    await timed_out(theatre, alike)
    with pytest.raises(
        InvalidInputError, match=r"as low as -0\.\d+ and must surely be above -0.03"
    ):
        await ask(theatre)
    async with store.begin() as tx:
        assert await tx.promotion_requests.latest() is None


async def test_what_changes_after_it_was_asked_for_refuses_it(undecided: Theatre) -> None:
    await ask(undecided)
    async with undecided.store.begin() as tx:
        active = await tx.deployments.active()
        assert active is not None
        await tx.deployments.checked(active.id, {**(active.proof or {}), "adapters": {}})
    await look(undecided)
    assert "not proven on every server in use" in str((await request(undecided)).outcome)
    assert "was *not* made" in (await notices(undecided.store))[-1]
    assert (await undecided.trial()).state == "INCONCLUSIVE"
    assert (await champion(undecided.store))[0] is None


async def test_a_replica_that_is_not_proven_yet_is_waited_for(undecided: Theatre) -> None:
    async with undecided.store.begin() as tx:
        active = await tx.deployments.active()
        assert active is not None
        bare = {**(active.proof or {}), "replicas": {}}
        await tx.deployments.checked(active.id, bare)
    with pytest.raises(InvalidInputError, match="not proven on every server"):
        await ask(undecided)


async def test_servers_that_come_without_it_are_waited_for(undecided: Theatre) -> None:
    async with undecided.store.begin() as tx:
        await tx.deployments.desire("base", [], undecided.clock.now())
    with pytest.raises(InvalidInputError, match="servers without it are being started"):
        await ask(undecided)


async def test_an_offline_suite_against_an_earlier_champion_does_not_count(
    undecided: Theatre,
) -> None:
    async with undecided.store.begin() as tx:
        await add_adapter(tx, "other")
        await tx.adapters.promote("other", version=0, at=undecided.clock.now())
        await tx.adapters.promote(None, version=1, at=undecided.clock.now(), undo=True)
    with pytest.raises(InvalidInputError, match="compared it with an earlier champion"):
        await ask(undecided)


async def test_a_champion_that_changed_since_it_was_asked_for_is_not_overrun(
    undecided: Theatre,
) -> None:
    await ask(undecided)
    async with undecided.store.begin() as tx:
        await add_adapter(tx, "other")
        await tx.adapters.promote("other", version=0, at=undecided.clock.now())
    await look(undecided)
    assert (await request(undecided)).outcome == "refused: the champion is other by now"
    assert (await champion(undecided.store))[0] == "other"


async def test_a_request_from_before_the_end_is_not_taken_for_an_override(store: Store) -> None:
    theatre = Theatre(store=store, clock=FixedClock(NOW), policy=NEVER_ENOUGH)
    cycle = await open_cycle(store)
    await theatre.meet(await theatre.to_stage(cycle), better, 60)
    await ask(theatre)
    theatre.wait(days=2)
    async with store.begin() as tx:
        trial = await theatre.trial()
        await tx.experiments.advance(
            trial, replace(trial, state="INCONCLUSIVE", ended_at=theatre.clock.now()), NOW
        )
    await look(theatre)
    assert "ended first" in str((await request(theatre)).outcome)
    assert "ask again" in str((await request(theatre)).outcome)
    assert (await champion(store))[0] is None


async def test_frozen_nothing_moves_forward(undecided: Theatre) -> None:
    await ask(undecided)
    async with undecided.store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
    await look(undecided)
    assert "traffic is frozen" in str((await request(undecided)).outcome)


async def test_what_was_taken_back_is_not_promoted_again(undecided: Theatre) -> None:
    async with undecided.store.begin() as tx:
        await tx.adapters.mark("new", AdapterState.BLOCKED)
    with pytest.raises(InvalidInputError, match="taken back"):
        await ask(undecided)


async def test_why_says_what_a_person_may_do(undecided: Theatre) -> None:
    policy = WhyPolicy(
        thresholds=Thresholds(label_gate=1, min_fine_tune_failures=1), consent="reviewer_authored"
    )
    async with undecided.store.begin() as tx:
        told = list((await read_why(tx, policy, undecided.clock.now())).lines())
    assert any("by hand: an admin may still promote it by hand" in line for line in told)
    async with undecided.store.begin() as tx:
        with pytest.raises(InvalidInputError, match="nothing to undo"):
            await roll_back(tx, ADMIN)
