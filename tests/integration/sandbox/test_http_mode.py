"""Signed HTTP delivery to a real Bolt app behind its own web server."""

from typing import Any

import aiohttp
from aiohttp import web as aiohttp_web
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncSay
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.sandbox.server import serve
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.workspace import default_workspace
from tests.integration.sandbox.conftest import AMIRA, BOT, SUPPORT, quiet
from tests.integration.sandbox.test_conversation import FEEDBACK, REASONS


async def test_events_and_interactions_over_signed_http() -> None:
    space = default_workspace()
    client = AsyncWebClient(token=space.bot_token)
    app = AsyncApp(client=client, signing_secret=space.signing_secret, logger=quiet())

    async def answer(event: dict[str, Any], say: AsyncSay) -> None:
        await say(text="over HTTP", blocks=FEEDBACK, thread_ts=event["ts"])

    async def clicked(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=REASONS)

    async def submitted(ack: AsyncAck) -> None:
        await ack(response_action="errors", errors={"why": "Not that."})

    async def ignore() -> None:
        """Acknowledged and not looked at."""

    app.event("app_mention")(answer)
    app.event("message")(ignore)
    app.action("answer_feedback")(clicked)
    app.view("reasons")(submitted)
    runner = aiohttp_web.AppRunner(app.web_app(path="/slack/events", port=0))
    await runner.setup()
    await aiohttp_web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        async with (
            serve(settings=SandboxSettings(events_url=url)) as sandbox,
            SandboxClient(sandbox.url) as people,
        ):
            client.base_url = sandbox.api_url
            http = sandbox.sandbox.http_mode
            assert http is not None
            assert await http.verify_url()
            asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> hello")
            reply = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
            click = await people.click(
                user=AMIRA,
                message=SandboxMessage.read(SUPPORT, reply.raw),
                action_id="answer_feedback",
                value="negative",
                wait_view_s=5,
            )
            assert click.opened
            sent = await people.submit(user=AMIRA, values={"reasons": ["outdated"]})
            assert sent.errors == {"why": "Not that."}
            forged = {"X-Slack-Signature": "v0=forged", "X-Slack-Request-Timestamp": "1"}
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, json={"type": "event_callback"}, headers=forged) as refused,
            ):
                assert refused.status == 401
    finally:
        await runner.cleanup()
