"""Publishes in processes that kill themselves at the n-th thing they change.

Started once, it imports once; for every number on standard input it forks a child that does what
the scheduler does until the open cycle is published, and kills itself just before its n-th change
(0: never). Changes are transactions that write, and calls to the platform's API that do. It answers
with the number of changes that the child had made when it was done, or with `killed`.

    python -m tests.acceptance.publishing_child DATABASE_URL VOLUME vllm|kubernetes URL...
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from kubernetes import client
from sqlalchemy import event

from feedback.clock import SystemClock
from feedback.domain.cycle import Cycle, CycleState, StepResult
from feedback.store.unit_of_work import Store, Transaction
from retrain.cycle.publishing import Publisher, PublishingStep
from retrain.cycle.runner import CycleRunner, Step
from retrain.platforms.cluster import ClusterPlatform
from retrain.platforms.fleet import Fleet, Patience
from retrain.platforms.port import Platform
from retrain.platforms.vllm import VllmPlatform
from retrain.platforms.volume import AdapterVolume
from retrain.scheduling.schedule import CycleSchedule
from tests.integration.platforms.cluster_double import NAME, NAMESPACE
from tests.integration.platforms.rows import AskingProver
from tests.waiting import until


@dataclass(kw_only=True)
class Life:
    """Counts changes, and ends before the one it is told."""

    ends_at: int
    changes: int = 0

    def change(self) -> None:
        self.changes += 1
        if self.changes == self.ends_at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class MortalStore:
    """A store whose process may end before any commit that would change something."""

    store: Store
    life: Life

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        writes: list[str] = []

        def watch(_: object, __: object, statement: str, *___: object) -> None:
            if statement.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE"}:
                writes.append(statement)

        engine = self.store.engine.sync_engine
        event.listen(engine, "before_cursor_execute", watch)
        try:
            async with self.store.begin() as tx:
                yield tx
                if writes:
                    self.life.change()
        finally:
            event.remove(engine, "before_cursor_execute", watch)


def vllm(urls: list[str], volume: AdapterVolume, life: Life) -> Platform:
    platform = VllmPlatform(urls, url="http://front", api_key="-", volume=volume)

    async def sent(request: httpx.Request) -> None:
        if request.method == "POST":
            life.change()

    platform._http.event_hooks["request"].append(sent)
    return platform


def kubernetes(urls: list[str], volume: AdapterVolume, life: Life) -> Platform:
    class Counted(client.ApiClient):
        def call_api(  # type: ignore[override]
            self, method: str, *arguments: object, **named: object
        ) -> object:
            if method == "PATCH":
                life.change()
            return super().call_api(method, *arguments, **named)

    api = Counted(client.Configuration(host=urls[0]))
    return ClusterPlatform(
        api,
        namespace=NAMESPACE,
        deployment=NAME,
        container="tgi",
        url="http://understudy-tgi",
        volume=volume,
    )


async def publish(arguments: list[str], life: Life) -> None:
    """What `understudy scheduler` does, until the open cycle has published."""
    database_url, folder, name, *urls = arguments
    store: Any = MortalStore(store=Store.connect(database_url), life=life)
    clock = SystemClock()
    make = {"vllm": vllm, "kubernetes": kubernetes}[name]
    platform = make(urls, AdapterVolume(Path(folder), "/adapters"), life)
    patience = Patience(start_s=30.0, linger_s=0.0)
    fleet = Fleet(store, clock, platform, name=name, patience=patience)
    publisher = Publisher(store, clock, AskingProver(), "base", platform=name)

    async def published(cycle: Cycle) -> StepResult:
        return StepResult(reason=f"{cycle.id} is published", wait=True)

    steps: dict[CycleState, Step] = {
        CycleState.PUBLISHING: PublishingStep(store, publisher),
        CycleState.EXPERIMENTING: published,
    }
    runner = CycleRunner(store, clock, CycleSchedule("0 3 1 12 *"), steps, "")

    async def done() -> bool:
        await fleet.look()
        if not await publisher.ensure_baseline():
            return False
        cycles = await runner.tick()
        async with store.begin() as tx:
            old = await tx.deployments.in_states("draining")
        return not old and not any(cycle.at_work for cycle in cycles)

    await until(done)
    await platform.close()


def main(arguments: list[str]) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            life = Life(ends_at=int(line))
            asyncio.run(publish(arguments, life))
            sys.stdout.write(f"{life.changes}\n")
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            sys.stdout.write("killed\n")
            sys.stdout.flush()
        elif status != 0:
            raise SystemExit(f"the child ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(sys.argv[1:])
