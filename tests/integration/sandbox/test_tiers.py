"""Tiers over the wire: HTTP 429 with Retry-After, switched on and off while the sandbox runs."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import serve
from bot.sandbox.settings import SandboxSettings
from feedback.clock import FixedClock
from feedback.errors import InvalidInputError
from tests.integration.sandbox.conftest import SUPPORT


async def test_the_switchboard_enforces_tiers(web: AsyncWebClient, people: SandboxClient) -> None:
    for _ in range(30):
        await web.users_list()
    await people.tiers(enforce=True)
    for _ in range(20):
        await web.users_list()
    with pytest.raises(SlackApiError) as raised:
        await web.users_list()
    answer = raised.value.response
    assert answer.status_code == 429
    assert answer["error"] == "ratelimited"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert await people.refused() == {"users.list": 1}
    assert (await web.auth_test())["ok"]
    await people.tiers(enforce=False)
    assert (await web.users_list())["ok"]
    with pytest.raises(InvalidInputError, match="minute_s"):
        await people.tiers(enforce=True, minute_s=-1)


async def test_a_simulated_clock_does_not_make_the_tiers_faster() -> None:
    clock = FixedClock(datetime(2026, 1, 5, tzinfo=UTC))
    async with serve(clock=clock, settings=SandboxSettings(enforce_tiers=True)) as sandbox:
        web = AsyncWebClient(token=sandbox.workspace.bot_token, base_url=sandbox.api_url)
        for _ in range(20):
            await web.users_list()
        clock.advance(timedelta(days=150))
        with pytest.raises(SlackApiError, match="ratelimited"):
            await web.users_list()


async def test_posts_of_one_channel_wait_those_of_another_do_not(
    web: AsyncWebClient, people: SandboxClient
) -> None:
    await people.tiers(enforce=True)
    outcomes = await asyncio.gather(
        *(web.chat_postMessage(channel=SUPPORT, text="x") for _ in range(10)),
        return_exceptions=True,
    )
    posted = [outcome for outcome in outcomes if not isinstance(outcome, SlackApiError)]
    assert 3 <= len(posted) < 10
    assert (await web.chat_postMessage(channel="C0GENERAL1", text="x"))["ok"]
    assert len(await people.messages(channel=SUPPORT)) == len(posted)
