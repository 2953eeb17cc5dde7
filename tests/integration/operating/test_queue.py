"""Adapters that wait to be tried: the newest is worth the stage, older ones are overtaken."""

from feedback.clock import FixedClock
from feedback.domain.cycle import CycleOptions, CycleState
from feedback.store.unit_of_work import Store
from retrain.cycle.runner import CycleRunner
from retrain.scheduling.schedule import CycleSchedule
from tests.integration.operating.stage import NOW, OPERATORS
from tests.integration.operating.test_traffic import notices


async def ask(store: Store, by: str, adapter_id: str = "") -> int:
    async with store.begin() as tx:
        return await tx.cycles.request(by, CycleOptions(adapter_id=adapter_id), NOW)


async def test_as_many_wait_as_there_are_places(store: Store) -> None:
    clock, schedule = FixedClock(NOW), CycleSchedule("0 3 * * sun")
    runner = CycleRunner(store, clock, schedule, {}, OPERATORS, 3)
    for name in ("first", "second", "third", "fourth"):
        await ask(store, "amira", name)
    (cycle,) = await runner.tick()
    assert cycle.options.adapter_id == "second"
    assert [text.split("*")[0].split()[1] for text in await notices(store)] == ["first"]


async def test_the_newest_is_tried_and_the_others_are_told_off(store: Store) -> None:
    runner = CycleRunner(store, FixedClock(NOW), CycleSchedule("0 3 * * sun"), {}, OPERATORS)
    await ask(store, "amira", "first")
    training = await ask(store, "ben")
    await ask(store, "<!here>", "second")
    newest = await ask(store, "chloe", "third")
    (cycle,) = await runner.tick()
    assert cycle.state is CycleState.MINING, "a training that was asked for keeps its place"
    async with store.begin() as tx:
        assert await tx.cycles.request_cycle(training) == cycle.id
        assert await tx.cycles.next_request() == (newest, "chloe", CycleOptions(adapter_id="third"))
        assert await tx.cycles.drop_overtaken() == []
        entries = [
            entry for name in ("first", "second")
            for entry in await tx.audit.entries(subject=f"adapter:{name}")
        ]  # fmt: skip
    assert [entry.to_state for entry in entries] == ["overtaken", "overtaken"]
    told = await notices(store)
    assert [text.split("*")[0].split()[1] for text in told] == ["first", "second"]
    assert "&lt;!here&gt;" in told[1]
