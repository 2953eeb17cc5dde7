"""Adapters come and go on running vLLM servers; nobody is sent to one that is not everywhere."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from feedback.domain.learning import DeploymentState
from feedback.errors import AdapterNotServedError
from feedback.store.unit_of_work import Store
from retrain.platforms.vllm import VllmPlatform
from retrain.platforms.volume import AdapterVolume
from tests.integration.platforms.rows import Publishing, registered
from tests.integration.platforms.vllm_double import BASE, VllmDouble, serving

FRONT = "http://front"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[VllmDouble]]:
    (tmp_path / "volume").mkdir()
    async with AsyncExitStack() as stack:
        yield await serving(stack, tmp_path / "volume", 2)


@pytest.fixture
async def publishing(
    store: Store, servers: list[VllmDouble], tmp_path: Path
) -> AsyncIterator[Publishing]:
    platform = VllmPlatform(
        [server.url for server in servers],
        url=FRONT,
        api_key="-",
        volume=AdapterVolume(tmp_path / "volume", "/adapters"),
    )
    yield Publishing.on(store, platform, name="vllm")
    await platform.close()


async def test_an_adapter_is_loaded_and_proven_on_every_replica_before_the_flip(
    publishing: Publishing, servers: list[VllmDouble], tmp_path: Path
) -> None:
    base = await publishing.baseline()
    assert (base.url, base.base_name, base.adapters) == (FRONT, BASE, ())
    first = await registered(publishing.store, tmp_path, "first")
    active = await publishing.publish(first)
    assert [server.loads for server in servers] == [["first"], ["first"]]
    assert active.proof is not None
    assert set(active.proof["replicas"]) == {replica.name for replica in active.replicas}
    assert {replica.url for replica in active.replicas} == {server.url for server in servers}
    async with publishing.store.begin() as tx:
        route = await tx.routing.route()
    assert (route.served, route.base_name) == (frozenset({"first"}), BASE)

    second = await registered(publishing.store, tmp_path, "second")
    await publishing.publish(second)

    async def alone() -> bool:
        old = await publishing.row(active.id)
        copies = [path.name.split("-")[1] for path in (tmp_path / "volume").iterdir()]
        return old.state is DeploymentState.STOPPED and copies == ["second"]

    await publishing.until(alone)
    assert all(set(server.adapters) == {"second"} for server in servers)


async def test_what_one_replica_does_not_serve_gets_no_traffic(
    publishing: Publishing, servers: list[VllmDouble], tmp_path: Path
) -> None:
    base = await publishing.baseline()
    servers[1].swapped = {"spoilt"}
    adapter = await registered(publishing.store, tmp_path, "spoilt")
    with pytest.raises(AdapterNotServedError, match="with the base model"):
        await publishing.publish(adapter)
    assert (await publishing.active()).id == base.id

    async def gone() -> bool:
        return not any(server.adapters for server in servers)

    await publishing.until(gone)


@pytest.mark.parametrize("fault", ["route", "path", "name"])
async def test_a_load_that_is_refused_fails_the_publish_and_says_why(
    publishing: Publishing, servers: list[VllmDouble], tmp_path: Path, fault: str
) -> None:
    await publishing.baseline()
    adapter = await registered(publishing.store, tmp_path, "new")
    expected = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
    if fault == "route":
        servers[0].runtime = False
    elif fault == "path":
        servers[0].root = tmp_path / "another"
    else:
        servers[0].adapters["new"] = "/somebody/elses"
        expected = "serves new from /somebody/elses"
    with pytest.raises(AdapterNotServedError, match=expected):
        await publishing.publish(adapter)
    if fault == "name":
        assert servers[0].adapters["new"] == "/somebody/elses", "what others loaded stays"


async def test_a_server_that_was_started_anew_is_loaded_and_proven_again(
    publishing: Publishing, servers: list[VllmDouble], tmp_path: Path
) -> None:
    adapter = await registered(publishing.store, tmp_path, "kept")
    await publishing.baseline()
    before = await publishing.publish(adapter)
    servers[1].restart()

    # Whoever looks may be killed before it is written down what was seen.
    await publishing.fleet._platform.look([before], [])
    assert not servers[1].adapters, "the new start would pass for the proven one"

    async def forgotten() -> bool:
        return len((await publishing.active()).replicas) == 1

    await publishing.until(forgotten)

    async def again() -> bool:
        row = await publishing.active()
        return len(row.replicas) == 2 and row.proven_everywhere

    await publishing.until(again)
    after = await publishing.active()
    assert after.id == before.id
    kept, new = servers[0].url, servers[1].url
    names = [{replica.url: replica.name for replica in row.replicas} for row in (before, after)]
    assert names[0][kept] == names[1][kept]
    assert names[0][new] != names[1][new]
    assert set((after.proof or {})["replicas"]) == set(names[1].values())


async def test_a_publish_waits_for_a_replica_that_does_not_answer(
    publishing: Publishing, servers: list[VllmDouble], tmp_path: Path
) -> None:
    base = await publishing.baseline()
    adapter = await registered(publishing.store, tmp_path, "late")
    servers[1].down = True
    number, _ = await publishing.publisher.publish(adapter.id, None)

    async def half() -> bool:
        assert not (await publishing.publisher.publish(adapter.id, number))[1]
        return (await publishing.row(number)).proof is not None

    await publishing.until(half)
    assert (await publishing.active()).id == base.id
    servers[1].down = False
    active = await publishing.publish(adapter, number)
    assert {each.name for each in active.adapters} == {"late"}
