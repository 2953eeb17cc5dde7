"""The page around the app: commands, prompts, Stop, trouble in modals, settings."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.async_api import Page
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from tests.integration.sandbox.conftest import AMIRA, BEN, CHROMIUM, GRACE, connected
from tests.integration.sandbox.test_conversation import REASONS
from tests.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


async def test_commands_are_suggested_and_answered_to_one_person(
    app: AsyncApp, sandbox: RunningSandbox, page: Page
) -> None:
    async def command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack(f"you said {body['text']}")

    app.command("/understudy")(command)
    async with connected(app, sandbox):
        box = page.get_by_label("Message #support")
        await box.press_sequentially("/under")
        await page.get_by_role("option").get_by_text("/understudy").wait_for()
        await page.keyboard.press("Tab")
        await box.press_sequentially("status")
        await page.keyboard.press("Enter")
        await page.locator(".ephemeral").get_by_text("you said status").wait_for()
        await box.fill("/nonsense")
        await page.keyboard.press("Enter")
        await page.get_by_text("/nonsense is not a valid command.").wait_for()
        assert await box.input_value() == "/nonsense"


async def test_a_prompt_is_asked_and_its_answer_stopped(
    app: AsyncApp, sandbox: RunningSandbox, web: AsyncWebClient, page: Page
) -> None:
    refusals: asyncio.Queue[str] = asyncio.Queue()
    looked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    go_on = asyncio.Event()

    async def opened(event: dict[str, Any]) -> None:
        prompts = [{"title": "Export a report", "message": "How do I export a report?"}]
        body = {"channel_id": event["channel"], "title": "Try this", "prompts": prompts}
        await web.api_call("assistant.threads.setSuggestedPrompts", json=body)

    async def asked(event: dict[str, Any]) -> None:
        if "bot_id" in event or "subtype" in event:
            return
        looked.put_nowait(event["app_context"])
        place = {"channel": event["channel"], "thread_ts": event["ts"]}
        started = await web.chat_startStream(**place, markdown_text="Open Settings, ")
        await go_on.wait()
        try:
            more = {"channel": event["channel"], "ts": started["ts"]}
            await web.chat_appendStream(**more, markdown_text="then Export.")
        except SlackApiError as exc:
            refusals.put_nowait(exc.response["error"])

    async def stopped(event: dict[str, Any]) -> None:
        place = {"channel_id": event["channel"], "thread_ts": event["thread_ts"]}
        await web.api_call("agents.sessions.setStatus", json={**place, "status": "active"})
        go_on.set()

    async def ignore() -> None:
        """Acknowledged and not looked at."""

    mine = AsyncApp(client=web)
    mine.event("app_home_opened")(opened)
    mine.event("message")(asked)
    mine.event("agent_session_stopped")(stopped)
    mine.event("app_context_changed")(ignore)
    async with connected(mine, sandbox):
        await page.locator(".room", has_text="Understudy").click()
        await page.get_by_role("button", name="Export a report").click()
        thread = page.get_by_role("complementary", name="Thread")
        await thread.locator(".streaming").get_by_text("Open Settings,").wait_for()
        await page.reload()
        await thread.get_by_role("button", name="Stop").click()
        await thread.get_by_text("Stopped before it was finished").wait_for()
        await thread.get_by_role("button", name="Stop").wait_for(state="hidden")
        async with asyncio.timeout(10):
            assert await refusals.get() == "stopped_by_user"
            [entity] = (await looked.get())["entities"]
    assert entity["value"] == "C0SUPPORT2"


async def test_what_is_typed_stays_when_prompts_come(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient, page: Page
) -> None:
    async with connected(app, sandbox):
        await page.locator(".room", has_text="Understudy").click()
        await page.get_by_label("Message Understudy").press_sequentially("How do")
        prompts = [{"title": "Export a report", "message": "How do I export a report?"}]
        channel = await people.open_dm(user=AMIRA)
        body = {"channel_id": channel, "title": "Try this", "prompts": prompts}
        await web.api_call("assistant.threads.setSuggestedPrompts", json=body)
        await page.get_by_role("button", name="Export a report").wait_for()
        await page.keyboard.type(" I export")
        assert await page.get_by_label("Message Understudy").input_value() == "How do I export"


async def test_trouble_is_shown_in_the_modal_and_nothing_typed_is_lost(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient, page: Page
) -> None:
    async def shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await web.views_open(trigger_id=body["trigger_id"], view=REASONS)

    async def submitted(ack: AsyncAck) -> None:
        await ack()

    app.shortcut("ask_understudy")(shortcut)
    app.view("reasons")(submitted)
    async with connected(app, sandbox):
        await people.post(user=AMIRA, channel="C0SUPPORT2", text="how long do refunds take?")
        message = page.get_by_role("article")
        await message.hover()
        await message.get_by_label("More actions").select_option(label="Ask Understudy")
        modal = page.get_by_role("dialog", name="What was wrong?")
        await modal.get_by_label("Outdated").check()
        await modal.get_by_label("Note").fill("kept")
        await people.delivery_faults(swallow=1)
        await modal.get_by_role("button", name="Send").click()
        await modal.get_by_role("alert").get_by_text("trouble connecting (timeout)").wait_for()
        assert await modal.get_by_label("Note").input_value() == "kept"
        assert await modal.get_by_label("Outdated").is_checked()
        await modal.get_by_role("button", name="Send").click()
        await modal.wait_for(state="hidden")


async def test_groups_and_the_app_are_managed_in_the_settings(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, page: Page
) -> None:
    apps = page.locator(".room", has_text="Understudy")
    await apps.get_by_text("not connected").wait_for()
    async with connected(app, sandbox):
        await apps.get_by_text("not connected").wait_for(state="hidden")
        await page.get_by_role("button", name="Workspace settings").click()
        settings = page.get_by_role("dialog", name="Workspace settings")
        oncall = settings.get_by_role("group", name="@support-oncall")
        await oncall.get_by_label("Grace Lindqvist").check()

        async def grace_is_on_call() -> bool:
            groups = {row["handle"]: row["users"] for row in (await people.state())["groups"]}
            return bool(groups["support-oncall"] == [AMIRA, BEN, GRACE])

        await until(grace_is_on_call)
        page.once("dialog", lambda dialog: dialog.accept())
        await settings.get_by_role("button", name="Uninstall Understudy").click()
        await apps.get_by_text("not installed").wait_for()
    assert not (await people.state())["installed"]


async def test_the_app_is_installed_in_a_browser(sandbox: RunningSandbox, page: Page) -> None:
    back = f"{sandbox.url.replace('127.0.0.1', 'localhost')}/healthz"  # another site's page
    query = {"client_id": sandbox.workspace.client_id, "scope": "chat:write", "state": "s-1"}
    await page.goto(
        f"{sandbox.url}/oauth/v2/authorize?{urlencode({**query, 'redirect_uri': back})}"
    )
    assert await page.get_by_label("You are").input_value() == "U0JONAS010"
    await page.get_by_role("button", name="Allow").click()
    await page.wait_for_url(f"{back}?**")
    arrived = parse_qs(urlsplit(page.url).query)
    assert arrived["state"] == ["s-1"]
    exchanged = await AsyncWebClient(base_url=sandbox.api_url).oauth_v2_access(
        client_id=sandbox.workspace.client_id,
        client_secret=sandbox.workspace.client_secret,
        code=arrived["code"][0],
        redirect_uri=back,
    )
    assert exchanged["authed_user"]["id"] == "U0JONAS010"
