"""The pages in a real browser: charts are drawn, nothing leaves the machine or is refused."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright

from feedback.web.app import create_app
from feedback.web.site import Site
from tests.integration.web.figures import ODD, RUNNING, TRIAL
from tests.integration.web.seed import Seeded
from tests.integration.web.test_experiment_acts import approval

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@dataclass(frozen=True, kw_only=True)
class Visit:
    """An open page, where it is, and everything it asked for or complained about."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
async def url(site: Site, seeded: Seeded) -> AsyncIterator[str]:
    config = uvicorn.Config(create_app(site), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    # Listening before it serves: the first request waits in the socket's queue.
    listener = config.bind_socket()
    port = listener.getsockname()[1]
    task = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture
async def visit(url: str) -> AsyncIterator[Visit]:
    async with async_playwright() as player:
        browser = await player.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        opened = Visit(page=page, url=url)
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        # The policy's refusals arrive as console errors.
        page.on(
            "console",
            lambda message: (
                opened.complaints.append(message.text)
                if message.type in {"error", "warning"}
                else None
            ),
        )
        yield opened
        await browser.close()
        assert opened.complaints == []
        assert opened.requests
        assert [r for r in opened.requests if not r.startswith((url, "data:"))] == []


async def test_the_overview_draws_and_refreshes_itself(visit: Visit, site: Site) -> None:
    page = visit.page
    await page.goto(visit.url)
    await page.locator(".plot svg").nth(1).wait_for()
    # As many as the evidence has channels: the bars are really there.
    assert await page.locator("#live .plot svg path[aria-roledescription=bar]").count() == 10
    async with site.store.begin() as tx:
        await tx.switches.set("frozen", "on", by="somebody", at=site.clock.now())
    await page.get_by_text("The brake is on").wait_for(timeout=20_000)
    # The refreshed part brought a new chart, and it is drawn too.
    await page.locator("#live .plot svg").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_pages_work_by_keyboard_and_form(visit: Visit) -> None:
    page = visit.page
    await page.goto(f"{visit.url}/patterns/p-3")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.get_by_role("button", name="Accept the fix").click()
    await page.get_by_role("button", name="Mark resolved").wait_for()
    assert await page.locator("h1 .chip").inner_text() == "accepted"


async def test_a_promotion_is_decided_and_an_experiment_paused_by_keyboard(
    visit: Visit, version: int, site: Site
) -> None:
    page = visit.page
    await page.goto(f"{visit.url}/experiments/{TRIAL}")
    await page.get_by_role("button", name="Pause").press("Enter")
    await page.get_by_text("Paused since").wait_for()
    await page.get_by_role("button", name="Resume").press("Enter")
    await page.get_by_role("button", name="Pause").wait_for()
    await page.get_by_label("Your name").fill("Ben")
    await page.get_by_label("Why").fill("clearly better")
    await page.get_by_role("button", name="Promote", exact=True).press("Enter")
    await page.get_by_text("Approved by Ben: clearly better").wait_for()
    assert await page.get_by_role("button", name="Do not promote").count() == 0
    assert (await approval(site, version)).decided_by == "Ben"


async def test_every_page_draws_under_the_policy(visit: Visit) -> None:
    page = visit.page
    for path in (f"/cycles/{RUNNING}", f"/experiments/e-{RUNNING}", f"/interactions/{ODD}"):
        await page.goto(visit.url + path)
        plots = await page.locator(".plot").count()
        if plots:
            await page.locator(".plot svg").nth(plots - 1).wait_for()
    await page.goto(f"{visit.url}/audit")
    await page.get_by_text("the chain is whole").wait_for()
