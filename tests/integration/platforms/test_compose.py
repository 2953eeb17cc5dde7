"""Blue and green as compose services, with a `docker` that runs processes in their place."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from feedback.domain.learning import DeploymentState
from feedback.errors import AdapterNotServedError, ConfigurationError, UnavailableError
from feedback.store.unit_of_work import Store
from retrain.platforms.bluegreen import BlueGreen
from retrain.platforms.compose import ComposeLauncher
from retrain.platforms.volume import AdapterVolume
from tests.acceptance.running import free_ports
from tests.docs.generate import ROOT
from tests.integration.platforms.rows import Publishing, registered

DOUBLE = Path(__file__).with_name("docker_double.py")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "docker"
    folder.mkdir()
    return folder


@pytest.fixture
async def launcher(tmp_path: Path, state: Path) -> AsyncIterator[ComposeLauncher]:
    ports = free_ports(2)
    text = (ROOT / "deploy/compose.tgi.yaml").read_text(encoding="utf-8")
    for declared, port in zip(("8620:", "8621:"), ports, strict=True):
        text = text.replace(declared, f"{port}:")
    (tmp_path / "compose.yaml").write_text(text)
    docker = tmp_path / "docker-double"
    docker.write_text(f'#!/bin/sh\nexec {sys.executable} {DOUBLE} "$@"\n')
    docker.chmod(0o755)
    opened = ComposeLauncher(
        tmp_path / "compose.yaml",
        ports=ports,
        environment={**os.environ, "DOCKER_DOUBLE": str(state)},
        drain_s=5,
        docker=str(docker),
    )
    yield opened
    await opened.close()
    for process in psutil.process_iter():
        try:
            if process.environ().get("DOCKER_DOUBLE") == str(state):
                process.kill()
        except psutil.Error:
            continue


@pytest.fixture
async def publishing(
    store: Store, launcher: ComposeLauncher, tmp_path: Path
) -> AsyncIterator[Publishing]:
    platform = BlueGreen(
        launcher,
        ports=tuple(launcher._services),
        host="127.0.0.1",
        volume=AdapterVolume(tmp_path / "volume"),
    )
    yield Publishing.on(store, platform, name="compose")
    await platform.close()


async def test_blue_serves_until_green_is_proven_and_is_then_drained(
    publishing: Publishing, tmp_path: Path, state: Path
) -> None:
    blue = await publishing.baseline()
    green = await publishing.publish(await registered(publishing.store, tmp_path, "first"))
    assert green.url != blue.url
    assert [each.name for each in green.adapters] == ["first"]

    async def drained() -> bool:
        return (await publishing.row(blue.id)).state is DeploymentState.STOPPED

    await publishing.until(drained)
    # A container that Docker started again is another start, and proven as such.
    before = (await publishing.active()).replicas
    started_again(state)

    async def again() -> bool:
        row = await publishing.active()
        return row.replicas != before and row.proven_everywhere

    await publishing.until(again)


def started_again(state: Path) -> None:
    (container,) = state.glob("*.json")
    later = container.read_text().replace('"started": "', '"started": "9')
    container.with_suffix(".coming").write_text(later)
    container.with_suffix(".coming").rename(container)


async def test_a_container_that_ends_fails_the_publish_with_its_log(
    publishing: Publishing, tmp_path: Path
) -> None:
    blue = await publishing.baseline()
    adapter = await registered(publishing.store, tmp_path, "first,second")
    with pytest.raises(AdapterNotServedError, match="Invalid LoRA adapter format"):
        await publishing.publish(adapter)
    assert (await publishing.active()).id == blue.id


async def test_docker_that_is_away_or_missing_is_told(
    launcher: ComposeLauncher, state: Path, tmp_path: Path
) -> None:
    (state / "no-daemon").touch()
    with pytest.raises(UnavailableError, match="Is the daemon running"):
        await launcher.places()
    missing = str(tmp_path / "nowhere")
    other = ComposeLauncher(
        tmp_path / "compose.yaml", ports=(1, 2), environment={}, drain_s=1, docker=missing
    )
    with pytest.raises(ConfigurationError, match="install Docker"):
        await other.places()
