"""A whole local stack of real processes for a test, and the means to kill any one of them."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from bot.sandbox.client import SandboxClient
from deploy.demo.script import moment
from deploy.stack.documents import sync_documents
from deploy.stack.local import LocalStack, local_stack
from feedback.clock import FileClock
from feedback.domain.cycle import Cycle, CycleState
from feedback.errors import RetryableError
from feedback.samples import load_company
from feedback.serving.embed import HttpEmbedder
from feedback.settings import load_settings
from feedback.store.cycles import SCHEDULER_LOOKED_AT
from feedback.store.unit_of_work import Store
from tests.acceptance.crowd import LIMIT_S
from tests.waiting import until


@dataclass(frozen=True, kw_only=True)
class Running:
    """A stack with its people, on simulated time."""

    stack: LocalStack
    clock: FileClock
    people: SandboxClient
    environment: Mapping[str, str]

    @property
    def store(self) -> Store:
        """The record, seen from outside."""
        return self.stack.store

    def kill(self, name: str) -> None:
        """Kills a supervised process at once."""
        process = self.stack.supervisor.get(name)
        assert process is not None, f"no process {name} among {self.stack.supervisor.names()}"
        os.kill(process.pid, signal.SIGKILL)

    def model_server(self) -> str:
        """Returns the name of the newest model server."""
        names = [n for n in self.stack.supervisor.names() if n.startswith("model-server-")]
        return max(names, key=lambda name: int(name.rpartition("-")[2]))

    async def kill_database(self) -> None:
        """Kills PostgreSQL's first process; the others end by themselves."""
        folder = self.stack.settings.state_dir / "postgres"
        pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not psutil.pid_exists(pid), LIMIT_S)

    async def cycle(self, cycle_id: str | None = None) -> Cycle | None:
        """Returns a cycle (the newest by default); None while the database is away."""
        with contextlib.suppress(RetryableError):
            async with self.store.begin() as tx:
                if cycle_id is not None:
                    return await tx.cycles.get(cycle_id)
                return next(iter(await tx.cycles.latest(1)), None)
        return None

    async def until_state(self, *states: CycleState, limit_s: float = LIMIT_S) -> Cycle:
        """Returns the newest cycle once it is in one of these states, or fails when it is done."""
        found: list[Cycle] = []

        async def there() -> bool:
            self.stack.supervisor.require_alive()
            cycle = await self.cycle()
            if cycle is None:
                return False
            found.append(cycle)
            return cycle.state in {*states, CycleState.DONE}

        await until(there, limit_s)
        cycle = found[-1]
        assert cycle.state in states, f"the cycle ended early: {cycle.outcome} {cycle.reason}"
        return cycle

    async def looked(self, cycle_id: str) -> Cycle:
        """Returns a cycle after the scheduler has looked at the present simulated moment."""
        now, found = self.clock.now(), list[Cycle]()

        async def there() -> bool:
            self.stack.supervisor.require_alive()
            async with self.store.begin() as tx:
                looked = await tx.switches.get(SCHEDULER_LOOKED_AT)
                cycle = await tx.cycles.get(cycle_id)
            assert cycle is not None
            found.append(cycle)
            seen = looked is not None and datetime.fromisoformat(looked) >= now
            return cycle.outcome is not None or seen

        await until(there, LIMIT_S)
        return found[-1]


@contextlib.contextmanager
def stack_environment(
    extra: Mapping[str, str],
) -> Iterator[tuple[Path, FileClock, dict[str, str]]]:
    """Makes a state folder, a simulated clock and settings on free ports; leaves no process."""
    # The socket's path must stay short, so no pytest folder.
    folder = Path(tempfile.mkdtemp(prefix="ua-", dir="/tmp"))
    clock = FileClock(folder / "clock")
    clock.set(moment(0))
    sandbox, web, blue, green = free_ports(4)
    environment = {
        "UNDERSTUDY_STATE_DIR": str(folder),
        "UNDERSTUDY_CLOCK_FILE": str(folder / "clock"),
        "UNDERSTUDY_STACK__SANDBOX_PORT": str(sandbox),
        "UNDERSTUDY_WEB__PORT": str(web),
        "UNDERSTUDY_STACK__MODEL_PORTS": f"[{blue}, {green}]",
        "UNDERSTUDY_RETRAIN__TICK_S": "0.3",
        # No cycle starts by itself while the simulated days go by.
        "UNDERSTUDY_RETRAIN__SCHEDULE": "0 3 1 12 *",
        "UNDERSTUDY_EXPERIMENT__PROFILE": "low_traffic",
        "UNDERSTUDY_BOT__LEASE_S": "5",
        "UNDERSTUDY_PUBLISH__LINGER_S": "1",
        **extra,
    }
    try:
        yield folder, clock, environment
    finally:
        for process in psutil.process_iter():
            if _belongs(process, folder):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def running_stack(extra: Mapping[str, str]) -> AsyncIterator[Running]:
    """Starts a stack with the company's documents; fails when it leaves a process behind."""
    with stack_environment(extra) as (folder, clock, environment):
        async with local_stack(load_settings(environment), overrides=environment) as stack:
            embedder = HttpEmbedder(await stack.model_url(LIMIT_S))
            documents = str(load_company().documents_path)
            await sync_documents(stack.store, embedder, clock, documents)
            await embedder.aclose()
            assert stack.sandbox_url is not None
            async with SandboxClient(stack.sandbox_url) as people:
                await people.wait_until_connected(LIMIT_S)
                yield Running(stack=stack, clock=clock, people=people, environment=environment)
        left = processes_of(folder)
        assert left == [], f"still running after the stack was closed: {left}"


def processes_of(folder: Path) -> list[str]:
    """Returns the command lines of what still works on a state folder."""
    return [
        " ".join(process.cmdline())
        for process in psutil.process_iter()
        if _belongs(process, folder)
    ]


def free_ports(count: int) -> list[int]:
    """Returns ports on 127.0.0.1 that nobody listened on a moment ago."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


async def run_command(running: Running, *arguments: str) -> str:
    """Runs a command of ours on the stack's database; returns its standard output."""
    environment = dict(os.environ) | dict(running.environment)
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=environment | {"DATABASE_URL": running.stack.database_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def _belongs(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if any(str(folder) in argument for argument in process.cmdline()):
            return True
        return process.environ().get("UNDERSTUDY_STATE_DIR") == str(folder)
    return False
