"""`understudy up` itself is killed in the middle of a cycle and of questions, and started again."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.sandbox.client import SandboxClient
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.samples import load_company
from feedback.store.unit_of_work import Store
from retrain.jobs.folder import JobFolder
from tests.acceptance.crowd import LIMIT_S, Crowd, all_answered
from tests.acceptance.running import processes_of, stack_environment
from tests.acceptance.seeds import seed_corrections
from tests.acceptance.test_kills import CYCLE
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_the_stack_is_killed_and_started_again() -> None:
    with stack_environment(CYCLE) as (folder, clock, environment):
        async with started(environment) as up:
            store = Store.connect(
                f"postgresql+psycopg://postgres:@/understudy?host={folder / 'postgres'}"
            )
            async with store.begin() as tx:
                await seed_corrections(tx, load_company(), intents=8, wordings=15, at=clock.now())
                await tx.cycles.request("test", CycleOptions(), clock.now())
            job = JobFolder(folder / "runs" / f"run-{(await opened(store)).id}")
            await until(lambda: bool(job.reports()), LIMIT_S)
            async with people_of(environment) as crowd:
                await crowd.burst(6)
            up.kill()
            await up.wait()
        await store.close()
        await until(lambda: not alive(folder), LIMIT_S)

        async with started(environment) as up, people_of(environment) as crowd:
            await crowd.burst(2)
            store = Store.connect(str(store.engine.url))
            await until(lambda: done(store), LIMIT_S)
            cycle = await newest(store)
            assert cycle.outcome is CycleOutcome.STOPPED, cycle.reason
            await all_answered(crowd.people, store)
            threads = await crowd.threads()
            assert [thread for thread in threads if not thread.fair] == []
            assert sum(len(thread.questions) for thread in threads) == 8
            await store.close()
            up.send_signal(signal.SIGTERM)
            assert await up.wait() == 0
        assert processes_of(folder) == []


@asynccontextmanager
async def started(environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Starts `understudy up` and yields once it says that everything is there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy",
        "up",
        env=dict(os.environ) | dict(environment),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(2 * LIMIT_S):
            while not any(line.startswith("state:") for line in said):
                line = await process.stdout.readline()
                assert line, f"it ended with {await process.wait()}: {said}"
                said.append(line.decode())
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def people_of(environment: Mapping[str, str]) -> AsyncIterator[Crowd]:
    url = f"http://127.0.0.1:{environment['UNDERSTUDY_STACK__SANDBOX_PORT']}"
    async with SandboxClient(url) as people:
        await people.wait_until_connected(LIMIT_S)
        yield Crowd(people=people, rng=random.Random(7))


def alive(folder: Path) -> list[str]:
    """What must be gone before the ports are free: all but the database and the job."""
    return [command for command in processes_of(folder) if "-m deploy" in command]


async def opened(store: Store) -> Cycle:
    found: list[Cycle] = []

    async def there() -> bool:
        async with store.begin() as tx:
            found.extend(await tx.cycles.open_cycles())
        return bool(found)

    await until(there, LIMIT_S)
    return found[0]


async def newest(store: Store) -> Cycle:
    async with store.begin() as tx:
        return (await tx.cycles.latest(1))[0]


async def done(store: Store) -> bool:
    return (await newest(store)).state is CycleState.DONE
