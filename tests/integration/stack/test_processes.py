"""Supervised processes come back when killed, stop when told, and die with their supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from deploy.stack.processes import ManagedProcess, ProcessSpec, Supervisor
from feedback.errors import ConfigurationError
from tests.waiting import until

FOREVER = "import time\nwhile True: time.sleep(1)"


def _spec(folder: Path, code: str, name: str = "worker") -> ProcessSpec:
    return ProcessSpec(
        name=name,
        command=(sys.executable, "-c", code),
        environment=dict(os.environ),
        log=folder / f"{name}.log",
    )


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    """A supervisor that looks often."""
    opened = Supervisor(poll_s=0.02, give_up_after=3)
    yield opened
    await opened.close()


def _process(supervisor: Supervisor, name: str = "worker") -> ManagedProcess:
    process = supervisor.get(name)
    assert process is not None
    return process


def _complaint(supervisor: Supervisor) -> str:
    try:
        supervisor.require_alive()
    except ConfigurationError as exc:
        return str(exc)
    return ""


async def test_a_killed_process_comes_back(supervisor: Supervisor, tmp_path: Path) -> None:
    first = supervisor.start(_spec(tmp_path, FOREVER)).pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: _process(supervisor).pid != first)
    assert _process(supervisor).running
    assert supervisor.restarts == 1


async def test_one_that_keeps_dying_is_given_up_with_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(_spec(tmp_path, "raise SystemExit('no disk')"))
    await until(lambda: supervisor.restarts == 2 and not _process(supervisor).running)

    await until(lambda: _complaint(supervisor) != "")
    assert "worker died 3 times" in _complaint(supervisor)
    assert "no disk" in _complaint(supervisor)


async def test_a_configuration_error_is_not_tried_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    code = "import sys; print('understudy: port 8610 is in use'); sys.exit(2)"
    supervisor.start(_spec(tmp_path, code))
    await until(lambda: not _process(supervisor).running)
    await until(lambda: _complaint(supervisor) != "")
    assert _complaint(supervisor) == "port 8610 is in use"
    assert supervisor.restarts == 0


async def test_stop_asks_first_and_then_kills(supervisor: Supervisor, tmp_path: Path) -> None:
    stubborn = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(1)"
    )
    process = supervisor.start(_spec(tmp_path, stubborn))
    await until(lambda: "ready" in process.tail())
    await supervisor.stop("worker", grace_s=0.1)
    assert process.exit_code == -signal.SIGKILL
    assert supervisor.get("worker") is None


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from deploy.stack.processes import ProcessSpec, Supervisor\n"
        "async def main():\n"
        "    command = (sys.executable, '-c', 'import time; time.sleep(90)')\n"
        "    spec = ProcessSpec(name='w', command=command,\n"
        f"        environment={{}}, log=pathlib.Path({str(tmp_path / 'w.log')!r}))\n"
        "    print(Supervisor().start(spec).pid, flush=True)\n"
        "    await asyncio.sleep(90)\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    child.wait(timeout=20)
    assert not psutil.pid_exists(child.pid)


async def test_deaths_of_one_that_lived_well_are_forgotten(tmp_path: Path) -> None:
    supervisor = Supervisor(poll_s=0.02, give_up_after=2, settled_s=0.0)
    supervisor.start(_spec(tmp_path, FOREVER))
    try:
        for number in range(1, 4):
            os.kill(_process(supervisor).pid, signal.SIGKILL)
            await until(lambda number=number: supervisor.restarts == number)
        supervisor.require_alive()
    finally:
        await supervisor.close()


async def test_one_that_is_stopped_while_it_is_down_stays_down(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    process = supervisor.start(_spec(tmp_path, "raise SystemExit(1)"))
    await until(lambda: not process.running)
    await supervisor.stop("worker")
    other = supervisor.start(_spec(tmp_path, FOREVER, "other"))
    os.kill(other.pid, signal.SIGKILL)
    await until(lambda: _process(supervisor, "other").pid != other.pid)
    assert supervisor.names() == ["other"]
