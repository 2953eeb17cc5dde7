"""Cycles, audit, adapters and deployments on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetExample,
    DatasetVersion,
    DeploymentState,
    RunState,
    ServedAdapter,
    TrainingRun,
)
from feedback.errors import AdapterNotServedError, ConflictError
from feedback.store.leadership import Leadership
from feedback.store.unit_of_work import Store, Transaction

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def _cycle(cycle_id: str = "c1") -> Cycle:
    return Cycle(
        id=cycle_id,
        state=CycleState.MINING,
        version=1,
        trigger="schedule",
        requested_by="schedule",
        options=CycleOptions(disabled_cleaners=("arithmetic",)),
        started_at=NOW,
        updated_at=NOW,
    )


async def _adapter(tx: Transaction, name: str) -> Adapter:
    """Stores an adapter with the dataset and run it came from."""
    await tx.datasets.add(
        DatasetVersion(
            id="d1",
            path=Path("/d1"),
            labels=3,
            train_rows=2,
            holdout_rows=1,
            rejected_rows=0,
            manifest={},
            created_at=NOW,
        ),
        [
            DatasetExample(
                example_id="x1", side="train", source="correction", interaction_ids=("i1",)
            )
        ],
    )
    await tx.training.start(
        TrainingRun(
            id="r1",
            dataset_id="d1",
            base_model="b",
            spec={},
            state=RunState.RUNNING,
            started_at=NOW,
        )
    )
    adapter = Adapter(
        id=name,
        sha256=f"sha-{name}",
        path=Path("/adapters") / name,
        base_model="b",
        template_sha256="t",
        dataset_id="d1",
        training_run_id="r1",
        signature={"prompts": []},
        state=AdapterState.TRAINED,
        created_at=NOW,
    )
    await tx.adapters.add(adapter)
    return adapter


async def test_a_cycle_comes_back_as_it_was(store: Store) -> None:
    async with store.begin() as tx:
        await tx.cycles.start(_cycle())
    async with store.begin() as tx:
        assert await tx.cycles.open_cycles() == [_cycle()]
        assert await tx.cycles.at_work() == _cycle()
        assert await tx.cycles.last_scheduled() == NOW


async def test_only_one_cycle_is_open(store: Store) -> None:
    async with store.begin() as tx:
        await tx.cycles.start(_cycle())
    with pytest.raises(IntegrityError):
        async with store.begin() as tx:
            await tx.cycles.start(_cycle("c2"))


async def test_a_step_commits_only_on_the_version_it_read(store: Store) -> None:
    before = _cycle()
    after = replace(before, state=CycleState.WEIGHING, version=2, context={"failures": 3})
    async with store.begin() as tx:
        await tx.cycles.start(before)
        await tx.cycles.advance(before, after)
    with pytest.raises(ConflictError, match="moved on from version 1"):
        async with store.begin() as tx:
            await tx.cycles.advance(before, after)
    async with store.begin() as tx:
        assert await tx.cycles.open_cycles() == [after]


async def test_requests_are_served_in_order(store: Store) -> None:
    async with store.begin() as tx:
        first = await tx.cycles.request("ana", CycleOptions(), NOW)
        second = await tx.cycles.request("bo", CycleOptions(disabled_cleaners=("x",)), NOW)
        await tx.cycles.take_request(first, "c1")
        assert await tx.cycles.next_request() == (
            second,
            "bo",
            CycleOptions(disabled_cleaners=("x",)),
        )
        assert await tx.cycles.request_cycle(first) == "c1"
        assert await tx.cycles.request_cycle(second) is None


async def test_the_audit_chain_notices_a_changed_row(store: Store) -> None:
    async with store.begin() as tx:
        for number in range(3):
            await tx.audit.append(
                subject="cycle:c1",
                from_state=str(number),
                to_state=str(number + 1),
                actor="test",
                reason="because",
                at=NOW + timedelta(minutes=number),
                data={"n": number},
            )
        assert await tx.audit.verify() == 3
    async with store.begin() as tx:
        await tx.connection.execute(text("update audit set reason = 'else' where id = 2"))
    with pytest.raises(ConflictError, match="audit entry 2"):
        async with store.begin() as tx:
            await tx.audit.verify()


async def test_concurrent_audit_writers_keep_one_chain(store: Store) -> None:
    async def write(number: int) -> None:
        async with store.begin() as tx:
            await tx.audit.append(
                subject="s", from_state="", to_state=str(number), actor="t", reason="r", at=NOW
            )

    await asyncio.gather(*(write(number) for number in range(8)))
    async with store.begin() as tx:
        assert await tx.audit.verify() == 8


async def test_promotion_is_compare_and_set(store: Store) -> None:
    async with store.begin() as tx:
        await _adapter(tx, "a1")
        await _adapter(tx, "a2")
        assert await tx.adapters.champion() == (None, 0)
        await tx.adapters.promote("a1", version=0, at=NOW)
        await tx.adapters.promote("a2", version=1, at=NOW)
    with pytest.raises(ConflictError, match="at version 2, not 1"):
        async with store.begin() as tx:
            await tx.adapters.promote("a1", version=1, at=NOW)
    async with store.begin() as tx:
        champion, version = await tx.adapters.champion()
        previous = await tx.adapters.previous_champion()
    assert champion is not None
    assert previous is not None
    assert (champion.id, champion.state, version) == ("a2", AdapterState.CHAMPION, 2)
    assert (previous.id, previous.state) == ("a1", AdapterState.RETIRED)


async def test_two_promotions_at_once_leave_one_champion(store: Store) -> None:
    async with store.begin() as tx:
        await _adapter(tx, "a1")
        await _adapter(tx, "a2")
        await tx.adapters.promote("a1", version=0, at=NOW)

    async def promote(name: str) -> bool:
        try:
            async with store.begin() as tx:
                await tx.adapters.promote(name, version=1, at=NOW)
        except ConflictError:
            return False
        return True

    assert sorted(await asyncio.gather(promote("a1"), promote("a2"))) == [False, True]


async def test_a_deployment_flips_the_traffic(store: Store) -> None:
    served = [ServedAdapter(name="a1", path="/a1", sha256="s")]
    async with store.begin() as tx:
        blue = await tx.deployments.desire("b", [], NOW)
        await tx.deployments.activate(blue, proof={"n": 1}, at=NOW)
        green = await tx.deployments.desire("b", served, NOW)
        await tx.deployments.update(green, NOW, state=DeploymentState.READY, url="http://g", pid=7)
    async with store.begin() as tx:
        await tx.deployments.activate(green, proof={"adapters": {"a1": {}}}, at=NOW)
    async with store.begin() as tx:
        active = await tx.deployments.active()
        old = await tx.deployments.get(blue)
        route = await tx.routing.route()
    assert active is not None
    assert old is not None
    assert (active.id, active.url, active.adapters) == (green, "http://g", tuple(served))
    assert old.state is DeploymentState.DRAINING
    assert (route.url, route.served, route.champion) == ("http://g", frozenset({"a1"}), None)


async def test_what_is_not_proven_gets_no_traffic(store: Store) -> None:
    served = [ServedAdapter(name=name, path=f"/{name}", sha256="s") for name in ("a1", "a2")]
    async with store.begin() as tx:
        blue = await tx.deployments.desire("b", [], NOW)
        await tx.deployments.activate(blue, proof={}, at=NOW)
        green = await tx.deployments.desire("b", served, NOW)
    with pytest.raises(AdapterNotServedError, match="a2 is not proven"):
        async with store.begin() as tx:
            await tx.deployments.activate(green, proof={"adapters": {"a1": {}}}, at=NOW)
    with pytest.raises(IntegrityError, match="proof_before_traffic"):
        async with store.begin() as tx:
            await tx.deployments.update(blue, NOW, proof=None)
    async with store.begin() as tx:
        active = await tx.deployments.active()
        assert active is not None
        assert active.id == blue, "the one in use is left alone"


async def test_a_later_check_takes_traffic_away_but_only_from_the_active_one(store: Store) -> None:
    served = [ServedAdapter(name="a1", path="/a1", sha256="s")]
    proof: dict[str, Any] = {"adapters": {"a1": {}}}
    async with store.begin() as tx:
        blue = await tx.deployments.desire("b", served, NOW)
        await tx.deployments.activate(blue, proof=proof, at=NOW)
        assert (await tx.routing.route()).served == {"a1"}
        assert await tx.deployments.checked(blue, {"adapters": {}})
        assert (await tx.routing.route()).served == frozenset()
        green = await tx.deployments.desire("b", served, NOW)
        await tx.deployments.activate(green, proof=proof, at=NOW)
        assert not await tx.deployments.checked(blue, {"adapters": {}})
        assert (await tx.routing.route()).served == {"a1"}


async def test_the_brake_is_seen_by_routing(store: Store) -> None:
    async with store.begin() as tx:
        assert not (await tx.routing.route()).frozen
        await tx.switches.set("frozen", "on", by="ana", at=NOW)
        assert (await tx.routing.route()).frozen
        await tx.switches.set("frozen", "off", by="ana", at=NOW)
        assert not (await tx.routing.route()).frozen


async def test_one_leader_at_a_time(store: Store) -> None:
    first, second = Leadership(store.engine), Leadership(store.engine)
    assert await first.hold()
    assert await first.hold()
    assert not await second.hold()
    await first.release()
    assert await second.hold()
    await second.release()


async def test_a_finished_cycle_is_not_open(store: Store) -> None:
    done = replace(
        _cycle(),
        state=CycleState.DONE,
        version=2,
        outcome=CycleOutcome.STOPPED,
        gate="arithmetic",
        reason="fell",
        ended_at=NOW,
    )
    async with store.begin() as tx:
        await tx.cycles.start(_cycle())
        await tx.cycles.advance(_cycle(), done)
    async with store.begin() as tx:
        assert await tx.cycles.open_cycles() == []
        assert await tx.cycles.latest() == [done]
