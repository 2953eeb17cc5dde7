"""Several challengers on stage: each has its own evidence, and all share one champion."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from feedback.choosing import find
from feedback.clock import FixedClock
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState, StepResult
from feedback.domain.learning import AdapterState
from feedback.domain.operating import Act
from feedback.domain.trial import Trial, Verdict
from feedback.errors import InvalidInputError, NotFoundError, UnavailableError
from feedback.operations import roll_back, standing
from feedback.pausing import set_pause
from feedback.promoting import decide_promotion, promote
from feedback.store.unit_of_work import Store
from feedback.web.views.experiment import experiment_view
from feedback.why import read_promotion
from retrain.cycle.holdback import threads_per_day
from retrain.cycle.publishing import Publisher
from retrain.cycle.runner import CycleRunner
from retrain.experiments.case import ARM_NAMES
from retrain.scheduling.schedule import CycleSchedule
from tests.integration.operating.crowd import HASTY, Theatre, open_cycle
from tests.integration.operating.stage import NOW, OPERATORS
from tests.integration.operating.test_traffic import notices
from tests.integration.platforms.rows import AskingProver

ADMIN = Act(by="U0ADMIN", reason="clear enough", at=NOW, channel=OPERATORS)
NAMES = ("one", "two")


@pytest.fixture
def theatre(store: Store) -> Theatre:
    return Theatre(store=store, clock=FixedClock(NOW), policy={**HASTY, "challengers": 2})


async def both(theatre: Theatre) -> dict[str, Cycle]:
    """Takes two challengers to their last stage."""
    cycles = {}
    for name in NAMES:
        cycles[name] = await open_cycle(theatre.store, name, at=theatre.clock.now())
        await theatre.look(cycles[name])
    for cycle in cycles.values():
        await theatre.to_stage(cycle)
    return cycles


async def trials(theatre: Theatre) -> list[Trial]:
    return [await theatre.trial(name) for name in NAMES]


def only(better: str = "", *, worse: str = "") -> Callable[[str | None], float]:
    """One challenger is liked far more often, or far less."""
    return lambda name: {better: 0.95, worse: 0.1}.get(name or "the champion", 0.5)


async def test_two_are_on_stage_and_a_third_one_waits(theatre: Theatre) -> None:
    await both(theatre)
    assert [(t.state, t.share) for t in await trials(theatre)] == [("TEST", 0.5)] * 2
    third = await open_cycle(theatre.store, "three", at=theatre.clock.now())
    waiting = await theatre.look(third)
    assert waiting.wait
    assert waiting.reason == (
        "the stage has room for 2, and there are e-c-one (test), e-c-two (test); it is next"
    )
    async with theatre.store.begin() as tx:
        assert [each.id for each in (await tx.routing.route()).experiments] == [
            "e-c-one", "e-c-two",
        ]  # fmt: skip


async def test_champion_threads_count_for_both_and_a_challengers_own_for_it_alone(
    theatre: Theatre,
) -> None:
    await both(theatre)
    found = await trials(theatre)
    await theatre.meet_all(found, only(), 150)
    logs = {}
    async with theatre.store.begin() as tx:
        for trial in found:
            rows = await tx.experiments.event_rows(trial)
            drawn = [r for r in rows if r["type"] == "assigned" and "forced_reason" not in r]
            logs[trial.id] = {
                arm: {row["thread"] for row in drawn if row["arm"] == arm} for arm in (0, 1)
            }
            kinds = Counter(row["type"] for row in rows)
            assert kinds["delivered"] == kinds["feedback"] == len(drawn)
            counts = await tx.experiments.counts(trial.id)
            assert counts == {
                arm: len(logs[trial.id][number]) for number, arm in enumerate(ARM_NAMES)
            }
            lately = await tx.experiments.threads_since(trial.id, NOW)
            assert lately["champion_rated"] == len(logs[trial.id][0])
            assert lately["challenger_delivered"] == len(logs[trial.id][1])
    one, two = logs.values()
    assert one[0] == two[0], "the champion's threads are everybody's"
    assert not one[1] & two[1]
    assert len(one[0] | one[1] | two[1]) == 150


async def test_the_better_one_is_promoted_and_ends_the_others_experiment(theatre: Theatre) -> None:
    cycles = await both(theatre)
    await theatre.meet_all(await trials(theatre), only("two"), 300)
    assert (await theatre.look(cycles["one"])).wait
    proven = await theatre.look(cycles["two"])
    assert (proven.outcome, proven.wait) == (None, False)
    assert (await theatre.trial("two")).evidence["evidence"]["primary"] >= 40  # type: ignore[index]
    assert (await theatre.promote(cycles["two"])).outcome is CycleOutcome.PROMOTED
    async with theatre.store.begin() as tx:
        route = await tx.routing.route()
    assert [each.id for each in route.experiments] == ["e-c-two"], "before the next look already"
    over = await theatre.look(cycles["one"])
    assert (over.outcome, over.gate) == (CycleOutcome.ENDED, "CANCELLED")
    assert "the champion changed from the base model to two" in over.reason
    assert "`understudy experiment start one` tries it" in over.reason
    async with theatre.store.begin() as tx:
        adapter = await tx.adapters.get("one")
        assert adapter is not None
        assert adapter.state is AdapterState.RETIRED
    assert (await theatre.trial("two")).state == "HOLDBACK"


async def test_evidence_that_is_enough_for_one_is_not_enough_for_two(theatre: Theatre) -> None:
    view = experiment_view((await _looked(theatre, 1)), (), theatre.clock.now())
    assert {item.name: item.threshold for item in view.evidence}["better"] == 20
    theatre.policy = {**HASTY, "challengers": 2}
    view = experiment_view((await _looked(theatre, 2)), (), theatre.clock.now())
    assert {item.name: item.threshold for item in view.evidence}["better"] == 40


async def _looked(theatre: Theatre, challengers: int) -> Trial:
    theatre.policy = {**HASTY, "challengers": challengers}
    cycle = await open_cycle(theatre.store, f"n{challengers}", at=theatre.clock.now())
    await theatre.to_stage(cycle)
    await theatre.meet(await theatre.trial(f"n{challengers}"), lambda _: 0.5, 20)
    await theatre.look(cycle)
    found = await theatre.trial(f"n{challengers}")
    async with theatre.store.begin() as tx:
        await tx.connection.exec_driver_sql("update experiments set ended_at = now()")
    return found


async def test_harm_ends_one_and_leaves_the_other_alone(theatre: Theatre) -> None:
    cycles = await both(theatre)
    await theatre.meet_all(await trials(theatre), only(worse="one"), 300)
    assert (await theatre.look(cycles["one"])).gate == "REJECTED_HARM"
    assert (await theatre.look(cycles["two"])).wait
    async with theatre.store.begin() as tx:
        assert [each.id for each in (await tx.routing.route()).experiments] == ["e-c-two"]
    # What is left is an experiment of two arms, with the share that it always had.
    await theatre.meet(await theatre.trial("two"), lambda ours: 0.95 if ours else 0.4, 120)
    assert (await theatre.look(cycles["two"])).outcome is None


async def test_one_that_was_promised_the_stage_keeps_it_to_itself(theatre: Theatre) -> None:
    theatre.policy = HASTY
    first = await open_cycle(theatre.store, "one")
    await theatre.to_stage(first, "RAMP")
    theatre.policy = {**HASTY, "challengers": 2}
    second = await open_cycle(theatre.store, "two", at=theatre.clock.now())
    assert "has room for 1" in (await theatre.look(second)).reason


async def test_the_same_adapter_is_not_tried_twice_at_once(theatre: Theatre) -> None:
    first = await open_cycle(theatre.store, "one")
    await theatre.to_stage(first)
    again = replace(first, id="c-again")
    result = await theatre.look(again)
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "CANCELLED")
    assert result.reason == "one is tried already, by e-c-one"
    async with theatre.store.begin() as tx:
        adapter = await tx.adapters.get("one")
        assert adapter is not None
        assert adapter.state is AdapterState.PUBLISHED, "it is still on stage"


async def test_a_publish_keeps_every_challenger_on_the_servers(theatre: Theatre) -> None:
    await both(theatre)
    await open_cycle(theatre.store, "three", at=theatre.clock.now())
    publisher = Publisher(theatre.store, theatre.clock, AskingProver(), "base")
    deployment_id, _ = await publisher.publish("three", None)
    async with theatre.store.begin() as tx:
        wanted = await tx.deployments.get(deployment_id)
    assert wanted is not None
    assert {item.name for item in wanted.adapters} == {"one", "two", "three"}


async def test_the_log_of_an_experiment_ends_with_it(theatre: Theatre) -> None:
    await both(theatre)
    await theatre.meet_all(await trials(theatre), only(), 60)
    async with theatre.store.begin() as tx:
        one, _ = await trials(theatre)
        whole = await tx.experiments.event_rows(one)
        # Its threads go on for the other one, whose answers are not its business.
        half = sorted(row["ts"] for row in whole if row["type"] == "delivered")[20]
        ended = replace(one, ended_at=datetime.fromtimestamp(half, UTC))
        kept = Counter(row["type"] for row in await tx.experiments.event_rows(ended))
    assert kept["delivered"] == 21
    assert kept["assigned"] == sum(row["type"] == "assigned" for row in whole)


async def test_what_can_never_be_looked_at_again_is_ended(theatre: Theatre) -> None:
    cycles = await both(theatre)
    async with theatre.store.begin() as tx:
        await tx.connection.exec_driver_sql(
            "update experiments set policy = '{\"alpha\": 7}' where id = 'e-c-one'"
        )
    result = await theatre.look(cycles["one"])
    assert result.outcome is CycleOutcome.FAILED
    assert "it cannot be looked at any more: policy alpha is 7" in result.reason
    assert [t.state for t in await trials(theatre)] == ["CANCELLED", "TEST"]
    assert (await theatre.look(cycles["two"])).wait


async def test_slow_is_what_the_champion_is_not(theatre: Theatre) -> None:
    await both(theatre)
    await theatre.meet_all(await trials(theatre), only(), 60)
    async with theatre.store.begin() as tx:
        await tx.connection.exec_driver_sql(
            "update interactions set latency_ms ="
            " case when adapter_id is null then 100 else 9e3 end"
        )
        assert await tx.experiments.latency_p95(None) == 100
        assert await tx.experiments.latency_p95("one") == 9000
        assert await tx.experiments.latency_p95("nobody") is None


async def test_the_one_that_ended_last_is_meant_when_none_runs(theatre: Theatre) -> None:
    await both(theatre)
    async with theatre.store.begin() as tx:
        for name, day in (("one", 20), ("two", 10)):
            await tx.connection.exec_driver_sql(
                f"update experiments set state = 'INCONCLUSIVE', "
                f"ended_at = started_at + interval '{day} days' where id = 'e-c-{name}'"
            )
        assert (await standing(tx)).experiment_id == "e-c-one"
        assert [trial.id for trial in await tx.experiments.shown()] == ["e-c-one"]
        assert (await standing(tx, "two")).experiment_id == "e-c-two", "by name any of them"


async def test_nobody_plays_against_itself(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store, "one")
    async with theatre.store.begin() as tx:
        _, version = await tx.adapters.champion()
        await tx.adapters.promote("one", version=version, at=NOW)
    result = await theatre.look(cycle)
    assert result.reason == "one is the champion by now"
    async with theatre.store.begin() as tx:
        champion, _ = await tx.adapters.champion()
    assert champion is not None
    assert champion.state is AdapterState.CHAMPION


async def test_people_name_the_one_they_mean(theatre: Theatre) -> None:
    cycles = await both(theatre)
    async with theatre.store.begin() as tx:
        with pytest.raises(InvalidInputError, match="2 challengers are being tried: one, two"):
            await promote(tx, ADMIN, seen=await standing(tx))
        with pytest.raises(InvalidInputError, match="Say which one you mean"):
            await set_pause(tx, ADMIN, on=True)
        with pytest.raises(NotFoundError, match="no experiment three; running: e-c-one, e-c-two"):
            await set_pause(tx, ADMIN, on=True, experiment="three")
        assert "met one keep it" in await set_pause(tx, ADMIN, on=True, experiment="one")
        assert (await standing(tx, "e-c-two")) == (await standing(tx, "two"))
        said = await promote(tx, ADMIN, seen=await standing(tx, "two"))
    assert said.startswith("Asked for: two becomes the champion")
    assert [t.paused_at is not None for t in await trials(theatre)] == [True, False]
    assert (await theatre.look(cycles["two"])).outcome is None
    assert (await theatre.trial("two")).decision == "PROMOTED_BY_HAND"
    await theatre.promote(cycles["two"])
    assert (await theatre.look(cycles["one"])).gate == "CANCELLED"
    async with theatre.store.begin() as tx:
        over = await find(tx, "one")
        assert (over.id, over.state) == ("e-c-one", "CANCELLED"), "one that is over has its name"


async def test_a_rollback_withdraws_every_promotion_that_waits(theatre: Theatre) -> None:
    theatre.approval = True
    cycles = await both(theatre)
    await theatre.meet_all(await trials(theatre), lambda name: 0.95 if name else 0.3, 300)
    for cycle in cycles.values():
        assert "waits for an approval" in (await theatre.look(cycle)).reason
    async with theatre.store.begin() as tx:
        now = await standing(tx)
        assert (now.running, now.waiting) == (2, ("e-c-one", "e-c-two"))
        assert await roll_back(tx, replace(ADMIN, at=theatre.clock.now())) is None
    for cycle in cycles.values():
        assert (await theatre.look(cycle)).gate == "CANCELLED"
    assert sum("*Promotion withdrawn*" in told for told in await notices(theatre.store)) == 2


async def test_an_approval_for_one_that_another_has_overtaken_has_no_effect(
    theatre: Theatre,
) -> None:
    theatre.approval = True
    cycles = await both(theatre)
    await theatre.meet_all(await trials(theatre), lambda name: 0.95 if name else 0.3, 300)
    for cycle in cycles.values():
        await theatre.look(cycle)
    one, two = await trials(theatre)
    act = replace(ADMIN, at=theatre.clock.now())
    async with theatre.store.begin() as tx:
        first = await decide_promotion(tx, act, one.id, one.version, Verdict.GRANTED)
    await theatre.look(cycles["one"])
    await theatre.promote(cycles["one"])
    async with theatre.store.begin() as tx:
        second = await decide_promotion(tx, act, two.id, two.version, Verdict.GRANTED)
    assert (first.effective, second.effective) == (True, False)
    assert second.told == (
        "Nothing was changed: one is the champion by now, and the experiment ends."
    )
    assert (await theatre.look(cycles["two"])).gate == "CANCELLED"


async def test_each_has_its_own_outlook(theatre: Theatre) -> None:
    cycles = await both(theatre)
    await theatre.meet_all(await trials(theatre), only("two"), 60)
    for cycle in cycles.values():
        await theatre.look(cycle)
    async with theatre.store.begin() as tx:
        outlooks = [await read_promotion(tx, t, theatre.clock.now()) for t in await trials(theatre)]
    assert [outlook.title for outlook in outlooks] == ["Promotion of one", "Promotion of two"]
    evidence = [next(g for g in outlook.gates if g.gate == "evidence") for outlook in outlooks]
    assert all("must reach 40" in gate.reason for gate in evidence)
    assert evidence[0].reason != evidence[1].reason


def test_threads_of_other_challengers_count_for_the_share_of_a_holdback() -> None:
    counts = {"champion": {"assigned": 100}, "challenger": {"assigned": 100}, "excluded": 100}
    trial = Trial(
        id="e", cycle_id="c", challenger_id="one", champion_id=None, salt="s", policy={},
        slow_ms=None, state="TEST", stage="TEST", share=0.5, version=1, started_at=NOW,
        evidence={"counts": counts, "day": 1.0},
    )  # fmt: skip
    assert threads_per_day(trial) == 300


class Stage:
    """A step that waits, or fails."""

    def __init__(self, broken: str) -> None:
        self.broken = broken
        self.looked: list[str] = []

    async def __call__(self, cycle: Cycle) -> StepResult:
        self.looked.append(cycle.id)
        if cycle.id == self.broken:
            raise UnavailableError("the server is away")
        return StepResult(reason="not yet", wait=True)


async def test_a_cycle_begins_while_another_one_is_on_stage_and_neither_waits_for_the_other(
    store: Store,
) -> None:
    clock = FixedClock(NOW)
    stage = Stage(broken="")
    steps = {CycleState.EXPERIMENTING: stage, CycleState.MINING: stage}
    runner = CycleRunner(store, clock, CycleSchedule("0 3 * * sun"), steps, OPERATORS, 2)
    for _ in range(3):
        async with store.begin() as tx:
            await tx.cycles.request("amira", CycleOptions(), NOW)
    (first,) = await runner.tick()
    assert [cycle.id for cycle in await runner.tick()] == [first.id], "one at work at a time"
    async with store.begin() as tx:
        await tx.cycles.advance(first, replace(first, state=CycleState.EXPERIMENTING))
    second = next(cycle for cycle in await runner.tick() if cycle.id != first.id)
    stage.looked.clear()
    stage.broken = first.id
    with pytest.raises(UnavailableError, match="the server is away"):
        await runner.tick()
    assert stage.looked == [first.id, second.id], "on stage first, and no failure hides the other"
    async with store.begin() as tx:
        await tx.cycles.advance(second, replace(second, state=CycleState.EXPERIMENTING))
    stage.broken = ""
    assert len(await runner.tick()) == 2, "the third waits until one of the two is over"
