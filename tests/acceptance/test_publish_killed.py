"""A publish that is killed anywhere goes on, and the pointer is true at every moment."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from feedback.domain.cycle import CycleOptions, CycleOutcome, CycleState
from feedback.domain.learning import DeploymentState
from feedback.store.unit_of_work import Store
from tests.integration.platforms.cluster_double import ClusterDouble
from tests.integration.platforms.pods import Changing
from tests.integration.platforms.rows import NOW, registered
from tests.integration.platforms.vllm_double import serving
from tests.served import served

MODULE = "tests.acceptance.publishing_child"


@dataclass(frozen=True, kw_only=True)
class World:
    """Servers outside of the processes that are killed.

    Attributes:
        lacking: Adapters of a set that some server in reach of people does not answer with.
        watch: Has something called just before and just after any of them changes.
    """

    platform: str
    urls: list[str]
    lacking: Callable[[frozenset[str]], set[str]]
    watch: Callable[[Changing], None]


@asynccontextmanager
async def vllm_servers(folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        doubles = await serving(stack, folder, 2)

        def lacking(names: frozenset[str]) -> set[str]:
            return {name for name in names for each in doubles if name not in each.adapters}

        def watch(changing: Changing) -> None:
            for each in doubles:
                each.changing = changing

        urls = [each.url for each in doubles]
        yield World(platform="vllm", urls=urls, lacking=lacking, watch=watch)


@asynccontextmanager
async def cluster(_: Path) -> AsyncIterator[World]:
    double = ClusterDouble.of_manifest()
    double.deployment["spec"]["replicas"] = 1

    def lacking(names: frozenset[str]) -> set[str]:
        pods = double.behind_service
        return {name for name in names for pod in pods if name not in pod.server.served}

    def watch(changing: Changing) -> None:
        double.changing = changing

    async with served(double.app()) as url:
        yield World(platform="kubernetes", urls=[url], lacking=lacking, watch=watch)
    await double.close()


@pytest.mark.parametrize(("world", "stride"), [(vllm_servers, 1), (cluster, 12)])
async def test_a_publish_is_killed_before_every_change_it_makes(
    store: Store,
    database_url: str,
    tmp_path: Path,
    world: Callable[[Path], AbstractAsyncContextManager[World]],
    stride: int,
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    async with world(volume) as servers, publishing(database_url, volume, servers) as run:

        async def pointer_is_true() -> None:
            """Pointer and servers change one at a time, so before and after is every moment."""
            async with store.begin() as tx:
                served = (await tx.routing.route()).served
            assert servers.lacking(served) == set()

        servers.watch(pointer_is_true)
        assert await run(0) != "killed", "the baseline"
        killed, number = 0, 1
        while True:
            name = f"a{number}"
            await registered(store, tmp_path, name)
            async with store.begin() as tx:
                await tx.cycles.request("test", CycleOptions(adapter_id=name), NOW)
            if await run(number) != "killed":
                break
            killed += 1
            await pointer_is_true()
            assert await run(0) != "killed"
            await pointer_is_true()
            await is_published(store, servers, name)
            number += stride
        await is_published(store, servers, name)
        assert killed * stride >= 12, "too few changes to prove anything"


@asynccontextmanager
async def publishing(
    database_url: str, volume: Path, servers: World
) -> AsyncIterator[Callable[[int], "asyncio.Future[str]"]]:
    """Yields what runs a scheduler that ends before its n-th change."""
    arguments = (database_url, str(volume), servers.platform, *servers.urls)
    process: Process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, *arguments, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines, answers = process.stdin, process.stdout

    async def run(ends_at: int) -> str:
        lines.write(f"{ends_at}\n".encode())
        answer = (await answers.readline()).decode().strip()
        assert answer, "the scheduler ended by itself"
        return answer

    yield lambda ends_at: asyncio.ensure_future(run(ends_at))
    lines.close()
    await process.wait()


async def is_published(store: Store, servers: World, name: str) -> None:
    """The adapter is served and proven everywhere, nothing else is left, and the cycle goes on."""
    async with store.begin() as tx:
        rows = await tx.deployments.in_states(*DeploymentState)
        (cycle,) = await tx.cycles.open_cycles()
        assert cycle.state is CycleState.EXPERIMENTING
        after = replace(cycle, state=CycleState.DONE, version=cycle.version + 1,
                        outcome=CycleOutcome.ENDED, ended_at=NOW)  # fmt: skip
        await tx.cycles.advance(cycle, after)
    (active,) = [row for row in rows if row.state is DeploymentState.ACTIVE]
    assert {each.name for each in active.adapters} == {name}
    assert active.proven_everywhere
    assert servers.lacking(frozenset({name})) == set()
    others = {row.state for row in rows if row.id != active.id}
    assert others <= {DeploymentState.STOPPED}, "one publish makes one deployment"
