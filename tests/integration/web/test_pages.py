"""Every page renders, on an empty record and on a full one, and escapes what people wrote."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest

from feedback.web.site import Site
from tests.integration.web.figures import (
    CHALLENGER,
    CHAMPION,
    ODD,
    PROMOTED,
    RUNNING,
    STOPPED,
    TRIAL,
)
from tests.integration.web.seed import Seeded, seed

LISTS = [
    "/",
    "/live",
    "/cycles",
    "/patterns",
    "/patterns?show=open",
    "/experiments",
    "/adapters",
    "/interactions",
    "/interactions?show=down",
    "/interactions?show=abstained",
    "/why",
    "/audit",
    "/audit/check",
]
DETAILS = [
    f"/cycles/{PROMOTED}",
    f"/cycles/{STOPPED}",
    f"/cycles/{RUNNING}",
    f"/cycles/{RUNNING}/live",
    "/patterns/p-0",
    "/patterns/p-3",
    f"/experiments/{TRIAL}",
    f"/adapters/{CHAMPION}",
    f"/interactions/{ODD}",
    "/interactions/i-03-01",
    "/audit?subject=champion",
]
PAGES_WITH_TEXT_OF_PEOPLE = ["/patterns", "/patterns/p-3", "/interactions", f"/interactions/{ODD}"]


class _Outline(HTMLParser):
    """Tags with their attributes, and whether they were closed in order."""

    _VOID = ("meta", "link", "input", "br", "img", "hr", "path", "circle", "rect")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def check(response: httpx.Response) -> _Outline:
    """Whole, well formed, nothing that a strict content policy would refuse."""
    assert response.status_code == 200, response.text[:500]
    outline = _Outline(response.text)
    assert outline.open == []
    for tag, attributes in outline.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "style"
        if tag == "script":
            assert (attributes["src"] or "").startswith("/static/")
        for name in ("src", "href"):
            assert not (attributes.get(name) or "").startswith(("http", "//", "javascript"))
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    return outline


@pytest.mark.parametrize("path", LISTS)
async def test_pages_of_an_empty_record(client: httpx.AsyncClient, path: str) -> None:
    check(await client.get(path))


async def test_pages_of_a_full_record(client: httpx.AsyncClient, seeded: Seeded) -> None:
    for path in [*LISTS, *DETAILS]:
        check(await client.get(path))
    shown = await client.get("/patterns")
    assert "91% of 412 answers of the last week are on brand" in shown.text


async def test_every_link_of_every_page_leads_somewhere(
    client: httpx.AsyncClient, seeded: Seeded
) -> None:
    asked: set[str] = set()
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        asked.add(path)
        outline = check(await client.get(path))
        links = {(attrs.get("href") or "") for tag, attrs in outline.tags if tag == "a"}
        pages = {link for link in links if link.startswith("/")}
        # A few answers stand for all of them.
        plain = {link for link in pages if not link.startswith("/interactions/i-") or "-00" in link}
        waiting += sorted(plain - asked - set(waiting) - {f"/cycles/{PROMOTED}/report"})
    assert {f"/cycles/{STOPPED}", f"/experiments/{TRIAL}", "/patterns/p-2"} <= asked


@pytest.mark.parametrize("path", PAGES_WITH_TEXT_OF_PEOPLE)
async def test_what_people_wrote_stays_text(
    client: httpx.AsyncClient, seeded: Seeded, path: str
) -> None:
    response = await client.get(path)
    check(response)
    assert "alert(&#39;pwned&#39;)" in response.text
    assert "<script>alert" not in response.text
    assert "<img src=x" not in response.text


async def test_the_overview_says_who_is_on_stage_and_why_it_waits(
    client: httpx.AsyncClient, seeded: Seeded
) -> None:
    text = _text(await client.get("/"))
    assert f"On stage {CHAMPION}" in text
    assert "Champion since 19 Feb 2026, 03:00, 11 days ago" in text
    assert f"In the wings {CHALLENGER} at 25" in text
    assert "promote E is 3.41, needs 20" in text
    assert "31 of 50 rated and matured challenger threads" in text
    assert "threads assigned 402 118" in text
    assert "1 from Slack, 0 to Slack · 1 given up" in text
    assert "23 of 60" in text
    assert "Last time: stopped at the gates" in text


async def test_several_challengers_stand_beside_each_other(
    client: httpx.AsyncClient, site: Site, seeded: Seeded
) -> None:
    async with site.store.begin() as tx:
        (first,) = await tx.experiments.running()
        rival = replace(
            first,
            id="e-rival",
            cycle_id="c-rival",
            challenger_id=CHAMPION,
            policy={"profile": "default", "challengers": 2},
            state="TEST",
            stage="TEST",
            share=0.5,
            started_at=first.started_at + timedelta(days=1),
        )
        await tx.experiments.add(rival)
    for path in ("/", "/why"):
        check(await client.get(path))
    text = _text(await client.get("/"))
    # With odds of 1 to 3 and 1 to 1 the champion keeps 3 of 7 threads.
    assert f"In the wings {CHALLENGER} at 14 %, {CHAMPION} at 43 %" in text
    assert f"Experiment {TRIAL}" in text
    assert "Experiment e-rival" in text
    why = _text(await client.get("/why"))
    assert f"Promotion of {CHALLENGER}" in why
    assert f"Promotion of {CHAMPION}" in why
    page = _text(await client.get("/experiments/e-rival"))
    assert "stage TEST, 50% of new threads that go to it or the champion" in page


async def test_a_cycle_in_training_shows_its_progress(
    client: httpx.AsyncClient, site: Site
) -> None:
    await seed(site.store, site.state_dir, training=True)
    for path in ("/", f"/cycles/{RUNNING}"):
        text = _text(await client.get(path))
        assert "240 of 400" in text
        assert "tokens/s" in text
        assert "Time left 1 min 14 s" in text
        assert "Training loss by step" in text


async def test_a_section_that_has_no_news_is_not_sent_again(
    client: httpx.AsyncClient, seeded: Seeded
) -> None:
    page = (await client.get("/")).text
    address = re.search(r'hx-get="(/live\?seen=[0-9a-f]{16})"', page)
    assert address is not None
    assert (await client.get(address[1])).status_code == 204
    await client.post("/brake", data={"value": "on"}, headers={"Sec-Fetch-Site": "same-origin"})
    news = await client.get(address[1])
    assert news.status_code == 200
    assert "The brake is on" in news.text


async def test_an_ended_cycle_does_not_ask_again(client: httpx.AsyncClient, seeded: Seeded) -> None:
    assert "hx-get" not in (await client.get(f"/cycles/{PROMOTED}")).text
    assert "hx-get" in (await client.get(f"/cycles/{RUNNING}")).text


async def test_why_an_answer_was_given(client: httpx.AsyncClient, seeded: Seeded) -> None:
    text = _text(await client.get(f"/interactions/{ODD}"))
    for fact in (
        "A login code is valid for ten minutes.",
        "This passage is no longer stored.",
        f"Adapter {CHALLENGER}",
        "Arm challenger",
        "Draw of the thread (0 to 1) 0.1234",
        "Correction, approved",
        "wrong fact",
    ):
        assert fact in text, fact


async def test_an_answer_is_found_by_its_id(client: httpx.AsyncClient, seeded: Seeded) -> None:
    found = await client.get("/interactions", params={"find": f" {ODD} "})
    assert found.headers["location"] == f"/interactions/{ODD}"
    missing = await client.get("/interactions", params={"find": "<b>"})
    assert missing.status_code == 404
    assert "<b>" not in missing.text


@pytest.mark.parametrize(
    "path",
    ["/cycles/x", "/cycles/x/live", "/patterns/x", "/experiments/x", "/adapters/x", "/nowhere"],
)
async def test_what_does_not_exist_is_a_page_that_says_so(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert "Not found" in response.text


async def test_odd_parameters_are_refused_in_words(client: httpx.AsyncClient) -> None:
    response = await client.get("/patterns?show=%3Cscript%3E")
    assert response.status_code == 400
    assert "<script>" not in response.text.replace("<script src=", "")


def _text(response: httpx.Response) -> str:
    body = re.sub(r"<(script|style|svg).*?</\1>", " ", response.text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split()).replace(" ,", ",")
