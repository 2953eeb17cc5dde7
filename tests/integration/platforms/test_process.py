"""Servers as children of a supervisor, with any launcher; nothing of a killed one is left."""

import os
import signal
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from deploy.stack.launching import ProcessLauncher, process_platform
from deploy.stack.leftovers import VARIABLE
from deploy.stack.processes import Supervisor
from feedback.domain.learning import Deployment, DeploymentState
from feedback.errors import AdapterNotServedError
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store
from tests.acceptance.running import free_ports
from tests.docs.generate import ROOT
from tests.integration.platforms.rows import NOW, Publishing, registered
from tests.waiting import until

SERVER = Path(__file__).with_name("server_process.py")
SUPERVISE = "from tests.integration.platforms.test_process import supervise; supervise()"


def empty(number: int) -> Deployment:
    """A deployment of the base alone."""
    return Deployment(
        id=number,
        platform="process",
        base_model="base",
        base_name="tgi",
        adapters=(),
        state=DeploymentState.DESIRED,
        url=None,
        replicas=(),
        pid=None,
        error=None,
        proof=None,
        created_at=NOW,
        updated_at=NOW,
    )


def supervise() -> None:
    """Run as a process of its own: starts one server and waits to be killed."""
    import asyncio  # noqa: PLC0415

    async def run() -> None:
        settings = load_settings()
        launcher = ProcessLauncher(Supervisor(), settings, dict(os.environ))
        await launcher.start(empty(1), settings.stack.model_ports[0])
        await asyncio.sleep(120)

    asyncio.run(run())


@pytest.fixture
def variables(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    ports = free_ports(2)
    yield {
        "UNDERSTUDY_STATE_DIR": str(tmp_path),
        "UNDERSTUDY_STACK__MODEL_PORTS": str(ports),
        "UNDERSTUDY_PUBLISH__LAUNCHER": f"{sys.executable} {SERVER} --port {{port}}",
        "UNDERSTUDY_PUBLISH__DRAIN_S": "5",
    }
    for process in marked(tmp_path):
        process.kill()


@pytest.fixture
def settings(variables: Mapping[str, str]) -> Settings:
    return load_settings(variables)


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    opened = Supervisor(poll_s=0.02)
    yield opened
    await opened.close()


@pytest.fixture
async def publishing(
    store: Store, supervisor: Supervisor, settings: Settings
) -> AsyncIterator[Publishing]:
    # What an operator's own shell names must not reach the servers.
    environment = {**os.environ, "CHILD": "1", "LORA_ADAPTERS": "other=/nowhere"}
    platform = process_platform(supervisor, settings, environment)
    yield Publishing.on(store, platform, name="process")
    await platform.close()


def marked(folder: Path) -> list[psutil.Process]:
    """Everything that was started for a state folder, servers and their children."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"/{folder}:" in process.environ().get(VARIABLE, ""):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_a_launcher_of_the_operators_serves_blue_and_green(
    publishing: Publishing, settings: Settings, supervisor: Supervisor
) -> None:
    blue = await publishing.baseline()
    adapter = await registered(publishing.store, settings.state_dir, "first")
    green = await publishing.publish(adapter)
    assert {blue.url, green.url} == {
        f"http://127.0.0.1:{port}" for port in settings.stack.model_ports
    }

    async def drained() -> bool:
        return (await publishing.row(blue.id)).state is DeploymentState.STOPPED

    await publishing.until(drained)
    assert len(marked(settings.state_dir)) == 2, "blue's child went with it"

    # One that dies comes back where the bots know it, without its old child, and is proven again.
    (server,) = [p for p in marked(settings.state_dir) if p.pid == green.pid]
    server.kill()

    async def again() -> bool:
        row = await publishing.active()
        return row.pid not in {None, green.pid} and row.proven_everywhere

    await publishing.until(again)
    row = await publishing.active()
    assert (row.id, row.url) == (green.id, green.url)
    await until(lambda: len(marked(settings.state_dir)) == 2)


async def test_a_launcher_that_ends_and_a_changed_file_fail_the_publish(
    publishing: Publishing, settings: Settings
) -> None:
    blue = await publishing.baseline()
    wrong = await registered(publishing.store, settings.state_dir, "name=with=signs")
    with pytest.raises(AdapterNotServedError, match="Invalid LoRA adapter format"):
        await publishing.publish(wrong)
    changed = await registered(publishing.store, settings.state_dir, "changed")
    (changed.path / "adapter_model.safetensors").write_text("others")
    with pytest.raises(AdapterNotServedError, match="changed after training"):
        await publishing.publish(changed)
    assert (await publishing.active()).id == blue.id


async def test_what_a_killed_supervisor_left_is_ended_before_the_next_start(
    variables: Mapping[str, str], settings: Settings, supervisor: Supervisor
) -> None:
    environment = {**os.environ, **variables, "CHILD": "1", "STUBBORN": "1"}
    owner = await create_subprocess_exec(
        sys.executable, "-c", SUPERVISE, env=environment, cwd=ROOT, stdin=DEVNULL
    )
    await until(lambda: len(marked(settings.state_dir)) == 2)
    launcher = ProcessLauncher(supervisor, settings, dict(os.environ))
    port = settings.stack.model_ports[0]

    # Another supervisor that lives keeps its servers, whatever we start at their place.
    await launcher.start(empty(2), port)
    await until(lambda: supervisor.gave_up("model-server-2"))
    (place,) = await launcher.places()
    assert "address already in use" in (place.failed or "")
    assert len(marked(settings.state_dir)) == 2
    await launcher.stop(place)
    await until(lambda: not supervisor.names())

    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    await launcher.start(empty(3), port)
    (place,) = await launcher.places()
    await until(lambda: [process.pid for process in marked(settings.state_dir)] == [place.pid])
    assert place.failed is None
    await launcher.close()
