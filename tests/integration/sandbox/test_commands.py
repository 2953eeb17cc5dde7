"""Slash commands, shortcuts and the agent's pane, as the app gets them in both transports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web as aiohttp_web
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.workspace import default_workspace
from feedback.errors import InvalidInputError
from tests.integration.sandbox.conftest import (
    AMIRA,
    BEN,
    GRACE,
    REVIEW,
    SUPPORT,
    connected,
    quiet,
)

COMMAND = "/understudy"
Transport = Callable[[AsyncApp], AbstractAsyncContextManager[SandboxClient]]


@asynccontextmanager
async def over_socket(app: AsyncApp) -> AsyncIterator[SandboxClient]:
    settings = SandboxSettings(ack_timeout_s=5.0)
    async with serve(settings=settings) as sandbox, SandboxClient(sandbox.url) as people:
        app.client.base_url = sandbox.api_url
        async with connected(app, sandbox):
            yield people


@asynccontextmanager
async def over_http(app: AsyncApp) -> AsyncIterator[SandboxClient]:
    runner = aiohttp_web.AppRunner(app.web_app(path="/slack/events", port=0))
    await runner.setup()
    await aiohttp_web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = SandboxSettings(
        ack_timeout_s=5.0, events_url=f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    )
    try:
        async with serve(settings=settings) as sandbox, SandboxClient(sandbox.url) as people:
            app.client.base_url = sandbox.api_url
            yield people
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("transport", [over_socket, over_http])
async def test_a_command_is_answered_in_its_ack_and_later(transport: Transport) -> None:
    space = default_workspace()
    app = AsyncApp(
        client=AsyncWebClient(token=space.bot_token),
        signing_secret=space.signing_secret,
        logger=quiet(),
    )
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def command(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        await ack(f"you said {body['text']}")
        heard.put_nowait(body)
        await respond(text="and later")

    async def ignore() -> None:
        """Acknowledged and not looked at."""

    app.command(COMMAND)(command)
    app.event("message")(ignore)
    async with transport(app) as people:
        ran = await people.command(user=BEN, channel=SUPPORT, command=COMMAND, text=f"x <@{AMIRA}>")
        first = await people.wait_for_ephemeral(user=BEN, channel=SUPPORT)
        later = await people.wait_for_ephemeral(user=BEN, channel=SUPPORT, after_ts=first.ts)
        seen_by_others = await people.messages(channel=SUPPORT, user=AMIRA)
    body = await heard.get()
    assert ran.acked
    # The app may be quicker with its second answer than the workspace is with the first.
    assert {first.text, later.text} == {f"you said x <@{AMIRA}|amira>", "and later"}
    assert seen_by_others == []
    assert body["trigger_id"]
    assert body["response_url"].startswith("http://127.0.0.1:")
    known = ("command", "text", "user_id", "channel_id", "team_id")
    assert [body[key] for key in known] == [
        COMMAND,
        f"x <@{AMIRA}|amira>",
        BEN,
        SUPPORT,
        space.team_id,
    ]


async def test_an_unknown_command_never_reaches_the_app(people: SandboxClient) -> None:
    with pytest.raises(InvalidInputError, match="/nonsense is not a valid command"):
        await people.command(user=BEN, channel=SUPPORT, command="/nonsense")


async def test_response_urls_work_five_times_and_say_why_not(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    urls: asyncio.Queue[str] = asyncio.Queue()

    async def command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        urls.put_nowait(body["response_url"])

    app.command(COMMAND)(command)
    async with connected(app, sandbox), aiohttp.ClientSession() as session:
        await people.command(user=BEN, channel=SUPPORT, command=COMMAND)
        url = await urls.get()

        async def respond(body: dict[str, Any]) -> tuple[int, str]:
            async with session.post(url, json=body) as answer:
                return answer.status, await answer.text()

        assert await respond({"text": ""}) == (404, "no_text")
        broken = {"text": "x", "blocks": [{"type": "no such block"}]}
        assert await respond(broken) == (404, "invalid_blocks")
        assert await respond({"text": "for all", "response_type": "in_channel"}) == (200, "ok")
        assert [await respond({"text": "x"}) for _ in range(2)] == [(200, "ok")] * 2
        assert await respond({"text": "x"}) == (404, "used_url")
    [shown] = await people.messages(channel=SUPPORT, user=AMIRA)
    assert shown.text == "for all"


async def test_what_a_person_looks_at_travels_with_their_messages(
    web: AsyncWebClient, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    app = AsyncApp(client=web, logger=quiet())
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def hear(event: dict[str, Any]) -> None:
        heard.put_nowait(event)

    for kind in ("app_home_opened", "app_context_changed", "message"):
        app.event(kind)(hear)
    async with connected(app, sandbox):
        dm = await people.open_home(user=AMIRA, tab="messages")
        opened = await heard.get()
        assert (opened["tab"], opened["channel"], opened["user"]) == ("messages", dm, AMIRA)
        await people.look_at(user=AMIRA, channel=SUPPORT)
        changed = await heard.get()
        entity = {"type": "slack#/types/channel_id", "value": SUPPORT, "team_id": "T0SANDBOX1"}
        assert changed["context"] == {"entities": [entity]}
        await people.post(user=AMIRA, channel=dm, text="hello")
        assert (await heard.get())["app_context"] == {"entities": [entity]}
        await people.look_at(user=AMIRA, channel=None)
        assert (await heard.get())["context"] == {}
        await people.post(user=AMIRA, channel=dm, text="hello again")
        assert "app_context" not in await heard.get()
        with pytest.raises(InvalidInputError, match="channel_not_found"):
            await people.look_at(user=AMIRA, channel=REVIEW)


async def test_stop_ends_the_streams_and_the_app_hears_of_it(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def hear(event: dict[str, Any]) -> None:
        heard.put_nowait(event)

    app.event("agent_session_stopped")(hear)
    async with connected(app, sandbox):
        asked = await people.post(user=AMIRA, channel=SUPPORT, text="question")
        place = {"channel_id": SUPPORT, "thread_ts": asked.ts}
        began = {"status": "processing", "title": "Question", "initiator_user_id": AMIRA}
        await web.api_call("agents.sessions.setStatus", json={**place, **began})
        started = await web.chat_startStream(
            channel=SUPPORT,
            thread_ts=asked.ts,
            recipient_team_id="T0SANDBOX1",
            recipient_user_id=AMIRA,
            markdown_text="Well, ",
        )
        await web.api_call("agents.sessions.rename", json={**place, "title": "Exports"})
        [shown] = (await people.state(AMIRA))["statuses"]
        assert (shown["session"], shown["title"]) == ("processing", "Exports")
        await people.stop_session(user=GRACE, channel=SUPPORT, thread_ts=asked.ts)
        stopped = await heard.get()
        assert stopped["streaming_message_ts"] == [started["ts"]]
        assert (stopped["user"], stopped["thread_ts"]) == (GRACE, asked.ts)
        # The status does not change on its own: the app has to.
        [still] = (await people.state(AMIRA))["statuses"]
        assert still["session"] == "processing"
        await web.api_call("agents.sessions.setStatus", json={**place, "status": "active"})
        assert (await people.state(AMIRA))["statuses"] == []
