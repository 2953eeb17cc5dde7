"""`kill -9` of a real sandbox process: what was acknowledged is there after the restart."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncSay
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.workspace import default_workspace
from feedback.errors import UnavailableError
from tests.integration.sandbox.conftest import AMIRA, BEN, BOT, SUPPORT, quiet

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from bot.sandbox.server import run
from feedback.clock import SystemClock
asyncio.run(run(port=int(sys.argv[1]), state_dir=Path(sys.argv[2]), clock=SystemClock(),
                ready=lambda running: print(running.url, flush=True)))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def process(port: int, state_dir: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(port), str(state_dir), stdout=asyncio.subprocess.PIPE
    )
    assert running.stdout is not None
    assert (await running.stdout.readline()).startswith(b"http")
    try:
        yield running
    finally:
        if running.returncode is None:
            # A test may have killed it already, and asyncio may not have heard of it yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
        await running.wait()


async def test_state_and_undelivered_events_survive_a_kill(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    space = default_workspace()
    web = AsyncWebClient(token=space.bot_token, base_url=f"{url}/api/")
    async with SandboxClient(url) as people:
        async with process(port, tmp_path):
            asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> still there?")
            await people.react(user=BEN, message=asked, name="eyes")
            dm = await people.open_dm(user=AMIRA)
            await people.post(user=AMIRA, channel=dm, text="privately")
            home: dict[str, Any] = {"type": "home", "blocks": [{"type": "divider"}]}
            await web.views_publish(user_id=AMIRA, view=home)
            before = await people.state(AMIRA)
        async with process(port, tmp_path):
            after = await people.state(AMIRA)
            [message] = await people.messages(channel=SUPPORT)
            assert message.raw["reactions"] == [{"name": "eyes", "users": [BEN], "count": 1}]
            assert [m.text for m in await people.messages(channel=dm)] == ["privately"]
            assert after["home"] == before["home"]
            assert after["seq"] >= before["seq"]
            assert (await people.deliveries())["pending"] == 4  # two twins, reaction, direct
            later = await people.post(user=AMIRA, channel=SUPPORT, text="later")
            assert later.ts > asked.ts

            app = AsyncApp(client=web, logger=quiet())

            async def answer(event: dict[str, Any], say: AsyncSay) -> None:
                await say(text="Yes.", thread_ts=event["ts"])

            async def ignore() -> None:
                """Acknowledged and not looked at."""

            app.event("app_mention")(answer)
            app.event("message")(ignore)
            app.event("reaction_added")(ignore)
            handler = AsyncSocketModeHandler(app, space.app_token, logger=quiet())
            await handler.connect_async()  # type: ignore[no-untyped-call]
            reply = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
            await people.wait_until_settled()
            await handler.close_async()  # type: ignore[no-untyped-call]
    assert reply.text == "Yes."


async def test_a_waiter_outlives_the_restart(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    web = AsyncWebClient(token=default_workspace().bot_token, base_url=f"{url}/api/")
    async with SandboxClient(url) as people:
        async with process(port, tmp_path):
            asked = await people.post(user=AMIRA, channel=SUPPORT, text="anybody?")
            waiting = asyncio.create_task(
                people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
            )
            await people.wait_for_message(channel=SUPPORT, where=lambda m: m.ts == asked.ts)
        async with process(port, tmp_path):
            await web.chat_postMessage(channel=SUPPORT, thread_ts=asked.ts, text="here")
            assert (await waiting).text == "here"


async def test_no_acknowledged_call_is_lost_whenever_the_kill_comes(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    acknowledged: list[str] = []

    async def talk(people: SandboxClient, number: int) -> None:
        for turn in range(1000):
            text = f"{number}/{turn}"
            try:
                await people.post(user=AMIRA, channel=SUPPORT, text=text)
            except UnavailableError:
                return
            acknowledged.append(text)

    async with SandboxClient(url) as people:
        async with process(port, tmp_path) as running:
            talking = asyncio.gather(*(talk(people, number) for number in range(8)))
            while len(acknowledged) < 60:
                await asyncio.wait([asyncio.ensure_future(people.deliveries())])
            os.kill(running.pid, signal.SIGKILL)
            await talking
        async with process(port, tmp_path):
            kept = {message.text for message in await people.messages(channel=SUPPORT)}
            events = (await people.deliveries())["pending"]
    assert set(acknowledged) <= kept
    # At most the call that each talker had under way is there without having been acknowledged.
    assert len(kept) <= len(acknowledged) + 8
    assert events == len(kept)
