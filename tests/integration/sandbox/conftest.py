"""A running sandbox, people in it, and a real Bolt app on Socket Mode."""

import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, async_playwright
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings

AMIRA, BEN, GRACE = "U0AMIRA001", "U0BENNO002", "U0GRACE007"
BOT = "U0UNDRSTDY"
SUPPORT, BILLING, REVIEW = "C0SUPPORT2", "C0BILLING3", "C0REVIEW04"

CHROMIUM = shutil.which("chromium")

FAST = SandboxSettings(ack_timeout_s=0.5, retry_delays_s=(0.0, 0.05, 0.1), trigger_life_s=3.0)


@pytest.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    async with serve(settings=FAST) as running:
        yield running


@pytest.fixture
async def people(sandbox: RunningSandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.url) as client:
        yield client


@pytest.fixture
def web(sandbox: RunningSandbox) -> AsyncWebClient:
    return AsyncWebClient(token=sandbox.workspace.bot_token, base_url=sandbox.api_url)


@pytest.fixture
def app(web: AsyncWebClient) -> AsyncApp:
    made = AsyncApp(client=web, logger=quiet())

    async def other() -> None:
        """Acknowledges what a test does not look at, so that it is not redelivered."""

    made.event("message")(other)
    return made


def quiet() -> logging.Logger:
    logger = logging.getLogger("sandbox-tests")
    logger.setLevel(logging.CRITICAL)
    return logger


@asynccontextmanager
async def connected(app: AsyncApp, sandbox: RunningSandbox) -> AsyncIterator[None]:
    """Runs `app` on Socket Mode until the context ends."""
    handler = AsyncSocketModeHandler(
        app, sandbox.workspace.app_token, logger=quiet(), ping_interval=1
    )
    await handler.connect_async()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
async def page(sandbox: RunningSandbox) -> AsyncIterator[Page]:
    async with async_playwright() as player:
        browser = await player.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        opened = await browser.new_page(viewport={"width": 1300, "height": 800})
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("requestfailed", lambda request: problems.append(request.url))
        await opened.goto(f"{sandbox.url}/?as=amira")
        await opened.get_by_label("Message #support").wait_for()
        yield opened
        scripts = [problem for problem in problems if "/sandbox/feed" not in problem]
        await browser.close()
        assert scripts == []
