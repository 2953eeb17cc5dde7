"""An independent opinion: the real bot against local-slack, an emulator that others wrote.

`make emulator` fetches it; without it these tests are skipped. It knows ordinary messages,
buttons and modals. Streams, statuses, sessions, user groups and message metadata it does not, so
an answer comes in one piece here.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from feedback.store.unit_of_work import Store
from tests.acceptance.running import free_ports
from tests.instant_model import instant_model
from tests.waiting import until

BINARY = Path(__file__).parents[2] / ".emulator" / "package" / "bin" / "local-slack"
LIMIT_S = 90.0
TEAM, CHANNEL, ALICE, BOB, BOT = "T01TEAM", "C01SUPPORT", "U01ALICE", "U02BOB", "U0UNDERSTUDY"
SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-emulated",
    "SLACK_APP_TOKEN": "xapp-emulated",
    "SLACK_SIGNING_SECRET": "an-emulated-signing-secret",
}
ANSWER = "Open Settings, then Export, and choose CSV."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY.exists(), reason="no emulator; `make emulator` fetches it"),
]


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """People in the emulated workspace."""

    session: aiohttp.ClientSession
    url: str

    async def post(self, path: str, **values: object) -> dict[str, Any]:
        """Acts as a person."""
        async with self.session.post(f"{self.url}/_control/{path}", json=values) as answer:
            done: dict[str, Any] = await answer.json()
        assert done["ok"], done
        return done

    async def answers(self) -> list[dict[str, Any]]:
        """Returns what the bot said."""
        async with self.session.get(f"{self.url}/_control/messages/{CHANNEL}") as answer:
            messages = (await answer.json())["messages"]
        return [message for message in messages if message["user"] == BOT]

    async def log(self) -> list[dict[str, Any]]:
        """Returns the traffic with the app."""
        async with self.session.get(f"{self.url}/_control/log") as answer:
            entries: list[dict[str, Any]] = (await answer.json())["log"]
        return entries


@asynccontextmanager
async def emulator(folder: Path, *, port: int, events_url: str | None) -> AsyncIterator[Emulator]:
    """Starts the emulator; `events_url` None delivers by Socket Mode."""
    app: dict[str, object] = {
        "appId": "A01APP",
        "botUserId": BOT,
        "botName": "understudy",
        "botToken": SECRETS["SLACK_BOT_TOKEN"],
        "appToken": SECRETS["SLACK_APP_TOKEN"],
        "signingSecret": SECRETS["SLACK_SIGNING_SECRET"],
        "mode": "events" if events_url else "socket",
    }
    if events_url is not None:
        app["requestUrl"] = events_url
    people = [{"id": ALICE, "name": "alice"}, {"id": BOB, "name": "bob"}]
    channel = {"id": CHANNEL, "name": "support", "members": [ALICE, BOB, BOT]}
    config = {
        "workspace": {"name": "Emulated", "domain": "emulated", "teamId": TEAM},
        "app": app,
        "users": people,
        "channels": [channel],
    }
    path = folder / "workspace.json"
    path.write_text(json.dumps(config))
    command = [str(BINARY), "--config", str(path), "--port", str(port), "--base-host", "127.0.0.1"]
    url = f"http://127.0.0.1:{port}"
    async with child(command, {}, folder / "emulator.log"), aiohttp.ClientSession() as session:
        await until(lambda: reachable(session, f"{url}/_control/state"), LIMIT_S)
        yield Emulator(session=session, url=url)


@asynccontextmanager
async def child(command: list[str], extra: dict[str, str], log: Path) -> AsyncIterator[None]:
    """Runs a process until the block ends."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **extra}, stdout=said, stderr=said
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()  # the emulator waits for its clients when it is asked to end
            await process.wait()


async def reachable(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether something answers there."""
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_asked_rated_and_explained(
    transport: str, database_url: str, store: Store, tmp_path: Path
) -> None:
    port, door = free_ports(2)
    events_url = f"http://127.0.0.1:{door}/slack/events" if transport == "http" else None
    async with (
        emulator(tmp_path, port=port, events_url=events_url) as slack,
        instant_model(lambda _: ANSWER) as model,
    ):
        environment = {
            **SECRETS,
            "DATABASE_URL": database_url,
            "TGI_URL": model,
            "UNDERSTUDY_SLACK__API_URL": f"{slack.url}/api/",
            "UNDERSTUDY_SLACK__HTTP_PORT": str(door),
        }
        command = [sys.executable, "-m", "deploy", "bot"]
        if transport == "http":
            command.append("--http")
        log = tmp_path / "bot.log"
        async with child(command, environment, log):
            await until(lambda: f"bot {BOT} answers" in log.read_text(), LIMIT_S)
            if transport == "http":
                health = f"http://127.0.0.1:{door}/healthz"
                await until(lambda: reachable(slack.session, health), LIMIT_S)
            await asks_and_is_answered(slack)
            await rates_and_explains(slack, store)


async def asks_and_is_answered(slack: Emulator) -> None:
    said = f"<@{BOT}> how do I export a report?"
    asked = await slack.post("message", channel=CHANNEL, user=ALICE, text=said)
    await until(lambda: answered(slack, 1), LIMIT_S)
    (answer,) = await slack.answers()
    assert answer["text"] == ANSWER
    assert answer["thread_ts"] == asked["message"]["ts"]
    await slack.post(
        "message",
        channel=CHANNEL,
        user=ALICE,
        text="and as a spreadsheet?",
        thread_ts=asked["message"]["ts"],
    )
    await until(lambda: answered(slack, 2), LIMIT_S)


async def answered(slack: Emulator, count: int) -> bool:
    return len(await slack.answers()) == count


async def rates_and_explains(slack: Emulator, store: Store) -> None:
    """A thumb down opens the reasons, which are submitted over the emulator's page socket."""
    answer = (await slack.answers())[0]
    block = next(block for block in answer["blocks"] if block["type"] == "context_actions")
    (element,) = block["elements"]
    action = {
        "type": "feedback_buttons",
        "action_id": element["action_id"],
        "block_id": block.get("block_id", "feedback"),  # the emulator names no blocks
        "text": element["negative_button"]["text"],
        "value": element["negative_button"]["value"],
    }
    async with slack.session.ws_connect(f"{slack.url}/ui") as page, asyncio.timeout(LIMIT_S):
        await slack.post(
            "interact", channel=CHANNEL, messageTs=answer["ts"], user=BOB, action=action
        )
        shown = await page.receive_json()
        while not shown["t"].startswith("view"):
            shown = await page.receive_json()
        chosen = {"text": {"type": "plain_text", "text": "-"}, "value": "outdated"}
        values = {
            "reasons": {"value": {"type": "checkboxes", "selected_options": [chosen]}},
            "tone": {"value": {"type": "radio_buttons", "selected_option": None}},
            "comment": {"value": {"type": "plain_text_input", "value": "the menu moved"}},
        }
        await page.send_json({"t": "view_submit", "user": BOB, "values": values})
        await until(lambda: explained(store), LIMIT_S)


async def explained(store: Store) -> bool:
    async with store.begin() as tx:
        rows = await tx.connection.execute(
            text("select user_id, rating, reasons, comment from votes")
        )
        found = [tuple(row) for row in rows]
    return found == [(BOB, "down", ["outdated"], "the menu moved")]
