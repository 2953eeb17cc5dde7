"""Every error that Slack documents can be met here, method by method."""

import json
from pathlib import Path

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from bot.sandbox.web_api.call import METHODS
from feedback.errors import InvalidInputError
from tests.integration.sandbox.conftest import SUPPORT

DOCUMENTED = Path(__file__).parents[4] / "shared" / "data" / "slack" / "method_errors.json"
COMMON = ("internal_error", "fatal_error", "ratelimited", "token_revoked", "account_inactive",
          "invalid_auth", "unknown_method", "method_deprecated", "service_unavailable")  # fmt: skip


def codes_of(method: str) -> list[str]:
    documented = json.loads(DOCUMENTED.read_text(encoding="utf-8")) if DOCUMENTED.exists() else {}
    return [*documented.get(method, {}).get("errors", []), *COMMON]


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_every_documented_error_of_a_method_can_be_injected(
    sandbox: RunningSandbox, people: SandboxClient, method: str
) -> None:
    headers = {"Authorization": f"Bearer {sandbox.workspace.bot_token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for code in codes_of(method):
            await people.fault(method=method, kind="error", code=code)
            async with session.post(f"{sandbox.api_url}{method}", json={}) as answer:
                assert answer.status == 200
                assert await answer.json() == {"ok": False, "error": code}
    assert (await people.deliveries())["calls"] == {method: len(codes_of(method))}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_server_errors_with_text_and_with_a_page(
    web: AsyncWebClient, people: SandboxClient, status: int
) -> None:
    for kind in ("server_error", "html"):
        await people.fault(method="chat.postMessage", kind=kind, status=status)
        with pytest.raises(SlackApiError) as raised:
            await web.chat_postMessage(channel=SUPPORT, text="x")
        assert raised.value.response.status_code == status
    assert (await web.chat_postMessage(channel=SUPPORT, text="x"))["ok"]
    with pytest.raises(InvalidInputError, match="500 to 599"):
        await people.fault(method="*", kind="html", status=404)


async def test_faults_can_be_kept_to_one_channel_and_to_the_second_call(
    web: AsyncWebClient, people: SandboxClient
) -> None:
    await people.fault(method="chat.postMessage", kind="error", channel=SUPPORT, skip=1)
    assert (await web.chat_postMessage(channel="C0GENERAL1", text="x"))["ok"]
    assert (await web.chat_postMessage(channel=SUPPORT, text="x"))["ok"]
    assert (await web.chat_postMessage(channel="C0GENERAL1", text="x"))["ok"]
    with pytest.raises(SlackApiError, match="internal_error"):
        await web.chat_postMessage(channel=SUPPORT, text="x")


async def test_a_slow_call_is_done_all_the_same(
    sandbox: RunningSandbox, people: SandboxClient
) -> None:
    hasty = AsyncWebClient(
        token=sandbox.workspace.bot_token, base_url=sandbox.api_url, timeout=1, retry_handlers=[]
    )
    await people.fault(method="chat.postMessage", kind="delay", delay_s=1.2)
    with pytest.raises(TimeoutError):
        await hasty.chat_postMessage(channel=SUPPORT, text="slow")
    shown = await people.wait_for_message(channel=SUPPORT, where=lambda m: m.text == "slow")
    assert shown.is_app
