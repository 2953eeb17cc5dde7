"""The embedded database comes back where it was, and ends when the last living user leaves."""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.wiring import open_store
from feedback.clock import SystemClock
from feedback.errors import UnavailableError
from feedback.settings import Settings, load_settings
from feedback.store.leadership import Leadership
from feedback.store.unit_of_work import Store
from tests.waiting import until


@pytest.fixture
def settings() -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
    yield load_settings({"UNDERSTUDY_STATE_DIR": str(folder)})
    shutil.rmtree(folder, ignore_errors=True)


def _postmaster(settings: Settings) -> int:
    return int((settings.state_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


async def _answers(store: Store) -> bool:
    try:
        async with store.begin() as tx:
            await tx.adapters.champion()
    except UnavailableError:
        return False
    return True


async def test_a_killed_server_comes_back_and_its_users_go_on(settings: Settings) -> None:
    async with open_store(settings) as store:
        leader, rival = Leadership(store.engine), Leadership(store.engine)
        assert await leader.hold()
        assert not await rival.hold()
        first = _postmaster(settings)
        async with store.begin() as tx:
            await tx.switches.set("frozen", "on", by="test", at=SystemClock().now())
        os.kill(first, signal.SIGKILL)
        await until(lambda: not psutil.pid_exists(first))
        assert not await leader.hold(), "the lock died with the server"
        await until(lambda: _answers(store))
        async with store.begin() as tx:
            assert await tx.switches.get("frozen") == "on"
        assert await rival.hold()
        assert not await leader.hold()
        await rival.release()
        second = _postmaster(settings)
        assert second != first
    await until(lambda: not psutil.pid_exists(second))


async def test_a_user_that_was_killed_does_not_keep_the_server(settings: Settings) -> None:
    dead = await asyncio.create_subprocess_exec("/bin/true")
    await dead.wait()
    async with open_store(settings):
        handles = settings.state_dir / "postgres" / ".handle_pids.json"
        handles.write_text(json.dumps([*json.loads(handles.read_text()), dead.pid]))
        server = _postmaster(settings)
    await until(lambda: not psutil.pid_exists(server))
