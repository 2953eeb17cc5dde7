"""What the fleet writes of what it sees, on a platform that shows what a test says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from feedback.clock import SystemClock
from feedback.domain.learning import Deployment, DeploymentState, Replica
from feedback.errors import AdapterNotServedError, ConflictError
from feedback.store.unit_of_work import Store
from retrain.cycle.publishing import Publisher
from retrain.platforms.fleet import Fleet, Patience
from retrain.platforms.port import Observed
from tests.integration.platforms.rows import NOW, registered

SERVER = Replica(name="one", url="http://one")
UP = Observed(url="http://front", replicas=(SERVER,), complete=True)


@dataclass(kw_only=True)
class Shown:
    """A platform with whatever is shown."""

    seen: dict[int, Observed] = field(default_factory=dict)
    keep: list[int] = field(default_factory=list)
    leave: list[int] = field(default_factory=list)
    now: float = 0.0

    async def look(
        self, keep: Sequence[Deployment], leave: Sequence[Deployment]
    ) -> Mapping[int, Observed]:
        self.keep = [row.id for row in keep]
        self.leave = [row.id for row in leave]
        return {**{row.id: Observed(gone=True) for row in leave}, **self.seen}

    async def close(self) -> None:
        """Holds nothing."""


class Trusting:
    """Proves everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def prove(self, url: str, adapters: Sequence[object]) -> Mapping[str, object]:
        self.asked.append(url)
        return {"adapters": {getattr(adapter, "id", ""): {} for adapter in adapters}}


@pytest.fixture
def platform() -> Shown:
    return Shown()


@pytest.fixture
def fleet(store: Store, platform: Shown) -> Fleet:
    return Fleet(
        store,
        SystemClock(),
        platform,
        name="vllm",
        patience=Patience(start_s=60.0, linger_s=10.0),
        monotonic=lambda: platform.now,
    )


@pytest.fixture
def publisher(store: Store) -> Publisher:
    return Publisher(store, SystemClock(), Trusting(), "base", platform="vllm")


async def row(store: Store, number: int) -> Deployment:
    async with store.begin() as tx:
        found = await tx.deployments.get(number)
    assert found is not None
    return found


async def test_servers_that_never_answer_fail_the_publish_with_a_remedy(
    store: Store, fleet: Fleet, platform: Shown, publisher: Publisher, tmp_path: Path
) -> None:
    adapter = await registered(store, tmp_path, "slow")
    number, _ = await publisher.publish(adapter.id, None)
    await fleet.look()
    platform.now = 61.0
    await fleet.look()
    with pytest.raises(AdapterNotServedError, match="UNDERSTUDY_PUBLISH__START_TIMEOUT_S"):
        await publisher.publish(adapter.id, number)


async def test_old_servers_linger_for_those_who_have_just_read_the_pointer(
    store: Store, fleet: Fleet, platform: Shown, publisher: Publisher, tmp_path: Path
) -> None:
    await publisher.ensure_baseline()
    platform.seen = {1: UP, 2: UP}
    await fleet.look()
    assert await publisher.ensure_baseline()
    number, _ = await publisher.publish((await registered(store, tmp_path, "new")).id, None)
    await fleet.look()
    assert await publisher.publish("new", number) == (2, True)
    platform.seen = {2: UP}
    await fleet.look()
    assert (platform.keep, platform.leave) == ([1, 2], [])
    platform.now = 10.0
    await fleet.look()
    assert (platform.keep, platform.leave) == ([2], [1])
    assert (await row(store, 1)).state is DeploymentState.STOPPED


async def test_a_replica_that_is_lost_or_new_holds_the_pointer_back(
    store: Store, fleet: Fleet, platform: Shown, publisher: Publisher
) -> None:
    await publisher.ensure_baseline()
    platform.seen = {1: UP}
    await fleet.look()
    assert (await row(store, 1)).state is DeploymentState.READY
    platform.seen = {1: Observed()}
    await fleet.look()
    assert (await row(store, 1)).state is DeploymentState.DESIRED
    assert not await publisher.ensure_baseline(), "there is nobody to point to"
    again = Replica(name="another start", url=SERVER.url)
    platform.seen = {1: Observed(url="http://front", replicas=(again,), complete=True)}
    await fleet.look()
    async with store.begin() as tx:
        with pytest.raises(ConflictError, match="another start is still to be proven"):
            await tx.deployments.activate(
                1, proof={"adapters": {}, "replicas": {SERVER.name: {}}}, at=NOW
            )
    assert await publisher.ensure_baseline()
    assert (await row(store, 1)).proven_everywhere


async def test_another_platform_takes_over_and_the_pointer_is_never_empty(
    store: Store, fleet: Fleet, platform: Shown, publisher: Publisher
) -> None:
    before = Publisher(store, SystemClock(), Trusting(), "base", platform="process")
    await before.ensure_baseline()
    async with store.begin() as tx:
        await tx.deployments.update(
            1, NOW, state=DeploymentState.READY, url="http://old", replicas=[SERVER]
        )
    assert await before.ensure_baseline()

    assert await publisher.ensure_baseline(), "the old servers go on"
    await fleet.look()
    assert platform.keep == [2], "rows of another platform are left to it"
    platform.seen = {2: UP}
    await fleet.look()
    assert await publisher.ensure_baseline()
    assert (await row(store, 2)).state is DeploymentState.ACTIVE
    await fleet.look()
    assert (await row(store, 1)).state is DeploymentState.STOPPED


async def test_a_publish_that_no_cycle_waits_for_frees_its_place(
    store: Store, fleet: Fleet, platform: Shown, publisher: Publisher, tmp_path: Path
) -> None:
    await publisher.ensure_baseline()
    platform.seen = {1: UP}
    await fleet.look()
    await publisher.ensure_baseline()
    adapter = await registered(store, tmp_path, "new")
    number, _ = await publisher.publish(adapter.id, None)
    assert await publisher.publish(adapter.id, None) == (number, False), "the same one goes on"
    other, _ = await publisher.publish((await registered(store, tmp_path, "newer")).id, None)
    assert (await row(store, number)).error == "given up before it was proven: a newer one came"
    await publisher.ensure_baseline()
    await fleet.look()
    assert platform.keep == [1]
    assert "no cycle waits" in ((await row(store, other)).error or "")
