"""A person at a browser: ask, watch the answer come, say why it is bad, correct it, approve it.

Real processes throughout; screenshots are left in artifacts/browser.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, async_playwright

from feedback.domain.interaction import InteractionRecord
from tests.acceptance.running import Running, run_command, running_stack

CHROMIUM = shutil.which("chromium")
SHOTS = Path(__file__).parents[2] / "artifacts" / "browser"
BETTER = "Hi there! Refunds are paid back within five working days. Anything else? We are here."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


async def test_from_a_question_to_a_training_row(tmp_path: Path) -> None:
    async with running_stack({}) as running, browsing(running) as page:
        answer = await ask_and_watch(running, page)
        await say_why_it_is_bad(page, answer)
        await correct(page, answer)
        await approve(page)
        await see_the_record(running, page)
        row = await training_row(running, tmp_path)
        assert row["completion"] == BETTER


async def ask_and_watch(running: Running, page: Page) -> Locator:
    """Asks in a direct message while the model is slow, so that the steps are seen."""
    await page.get_by_role("button", name="Understudy").first.click()
    with slow_model(running):
        await page.get_by_label("Message Understudy").fill("How long does a refund take?")
        await page.keyboard.press("Enter")
        await page.locator(".streaming").get_by_text("Searching the documents").first.wait_for()
        await shot(page, "1-streaming")
    answer = page.get_by_role("article").filter(
        has=page.get_by_role("button", name="Mark this answer as bad")
    )
    await answer.first.wait_for()
    assert await page.locator(".streaming").count() == 0
    await shot(page, "2-answered")
    return answer.first


async def say_why_it_is_bad(page: Page, answer: Locator) -> None:
    await answer.get_by_role("button", name="Mark this answer as bad").click()
    modal = page.get_by_role("dialog", name="What was wrong?")
    await modal.get_by_label("Information is missing").check()
    await modal.get_by_label("Too cold").check()
    await modal.get_by_label("Anything else?").fill("It does not say how many days.")
    await shot(page, "3-reasons")
    await modal.get_by_role("button", name="Send").click()
    await modal.wait_for(state="hidden")
    await answer.locator("[data-side=negative][aria-pressed=true]").wait_for()


async def correct(page: Page, answer: Locator) -> None:
    await answer.get_by_role("button", name="Correct").click()
    form = page.get_by_role("dialog", name="Correct this answer")
    await form.get_by_label("Better answer").fill(BETTER)
    await shot(page, "4-correction")
    await form.get_by_role("button", name="Next").click()
    check = page.get_by_role("dialog", name="Is this right?")
    await check.get_by_text("Redaction found nothing personal in it.").wait_for()
    await shot(page, "5-confirm")
    await check.get_by_role("button", name="Send to review").click()
    await check.wait_for(state="hidden")


async def approve(page: Page) -> None:
    """The author may not; a colleague does, in the review channel."""
    await page.get_by_label("Acting as", exact=True).select_option(label="Grace Lindqvist")
    await page.get_by_role("button", name="review").first.click()
    card = page.get_by_role("article").filter(has_text="waiting for a reviewer")
    await card.get_by_role("button", name="Claim").click()
    mine = page.get_by_role("article").filter(has_text="claimed by")
    await mine.get_by_role("button", name="Approve").click()
    done = page.get_by_role("article").filter(has_text="approved by")
    await done.wait_for()
    assert await done.get_by_role("button", name="Approve").count() == 0
    await shot(page, "6-approved")


async def see_the_record(running: Running, page: Page) -> None:
    """The dashboard shows the same: the question, the reasons, the approved correction."""
    async with running.store.begin() as tx:
        [record] = await tx.records.rated()
    await page.goto(f"{running.stack.web_url}/interactions/{record.id}")
    await page.get_by_text("Correction, approved").wait_for()
    await page.get_by_text(BETTER).wait_for()
    await page.get_by_text("too cold").wait_for()
    await shot(page, "7-dashboard")


async def training_row(running: Running, folder: Path) -> dict[str, str]:
    """Builds a data set from the record, as an operator would, and returns its only row."""
    async with running.store.begin() as tx:
        [record] = await tx.records.rated()
    rows, out = folder / "rows.jsonl", folder / "dataset"
    rows.write_text(json.dumps(line_of(record)) + "\n")
    await run_command(
        running,
        *(sys.executable, "-m", "deploy", "dataset", "build"),
        *("--input", str(rows), "--out", str(out), "--no-vectors"),
    )
    written = [
        line
        for name in ("train.jsonl", "holdout.jsonl")
        for line in (out / name).read_text().splitlines()
    ]
    [row] = [row for row in map(json.loads, written) if row["source"] != "replay"]
    found: dict[str, str] = row
    return found


def line_of(record: InteractionRecord) -> dict[str, object]:
    return {key: value for key, value in asdict(record).items() if value is not None}


@asynccontextmanager
async def browsing(running: Running) -> AsyncIterator[Page]:
    """A browser on the workspace's page, acting as an agent; scripts must not fail."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    async with async_playwright() as player:
        browser = await player.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = await browser.new_page(viewport={"width": 1300, "height": 900})
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(f"{running.stack.sandbox_url}/?as=amira")
        try:
            yield page
        except BaseException:
            await shot(page, "failed")
            raise
        finally:
            await browser.close()
    assert problems == []


@contextmanager
def slow_model(running: Running) -> Iterator[None]:
    """Holds the model server still."""
    process = running.stack.supervisor.get(running.model_server())
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def shot(page: Page, name: str) -> None:
    await page.screenshot(path=SHOTS / f"{name}.png")
