"""Who gets in: host names, the token, requests of other sites, files of elsewhere."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from feedback.clock import FixedClock
from feedback.web.site import Site
from tests.integration.web.conftest import FROM_HERE, HOST, connect
from tests.integration.web.figures import NOW, PROMOTED, STOPPED, XSS
from tests.integration.web.seed import Seeded

TOKEN = "correct horse battery"
LOGIN = {"token": TOKEN, "next": "/patterns?show=open"}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.8:8600", ""])
async def test_other_names_are_not_answered_without_a_token(
    client: httpx.AsyncClient, host: str
) -> None:
    refused = await client.get("/", headers={"Host": host})
    assert refused.status_code == 421
    assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8600", "localhost", "LOCALHOST:1", "[::1]:8600"])
async def test_names_of_this_machine_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": HOST, "Sec-Fetch-Site": "cross-site"},
        {},
    ],
)
async def test_what_another_site_asks_for_is_not_done(
    client: httpx.AsyncClient, site: Site, seeded: Seeded, headers: dict[str, str]
) -> None:
    brake = await client.post("/brake", data={"value": "on"}, headers=headers)
    decision = await client.post(
        "/patterns/p-0/decision", data={"decision": "reject"}, headers=headers
    )
    assert (brake.status_code, decision.status_code) == (403, 403)
    async with site.store.begin() as tx:
        assert await tx.switches.get("frozen") is None
        assert {pattern.status for pattern in await tx.patterns.current()} == {"open"}


@pytest.mark.parametrize("headers", [FROM_HERE, {"Origin": HOST}])
async def test_what_our_own_page_asks_for_is_done(
    client: httpx.AsyncClient, site: Site, headers: dict[str, str]
) -> None:
    done = await client.post("/brake", data={"value": "on"}, headers=headers)
    assert done.status_code == 303
    async with site.store.begin() as tx:
        assert await tx.switches.get("frozen") == "on"


async def test_every_answer_carries_the_policy(client: httpx.AsyncClient) -> None:
    for path in ("/", "/nowhere", "/healthz", "/static/charts.js"):
        headers = (await client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def test_packaged_files_are_kept_by_the_browser_under_their_digest(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/")).text
    address = page.split('href="', 3)[2].split('"')[0]
    assert address.startswith("/static/understudy.css?v=")
    answer = await client.get(address)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert (await client.get("/static/../app.py")).status_code == 404
    assert (await client.get("/static/%2e%2e/app.py")).status_code == 404


async def test_the_report_card_comes_in_a_sandbox(
    client: httpx.AsyncClient, seeded: Seeded
) -> None:
    answer = await client.get(f"/cycles/{PROMOTED}/report")
    assert answer.status_code == 200
    assert "<p>Card</p>" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "Report card" in (await client.get(f"/cycles/{PROMOTED}")).text


async def test_no_file_outside_of_the_state_folder_is_served(
    client: httpx.AsyncClient, site: Site, seeded: Seeded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.html"
    outside.write_text("secret")
    link = seeded.report.with_name("link.html")
    link.symlink_to(outside)
    inside = seeded.report.with_name("card.json")
    inside.write_text("secret")
    climbing = f"{seeded.state_dir}/../{outside.parent.name}/secret.html"
    assert (await client.get(f"/cycles/{STOPPED}/report")).status_code == 404
    for path in (str(outside), climbing, str(link), str(inside), str(seeded.state_dir), ""):
        await _store_report(site, path)
        answer = await client.get(f"/cycles/{STOPPED}/report")
        assert answer.status_code == 404, path
        assert "secret" not in answer.text
        assert "Report card" not in (await client.get(f"/cycles/{STOPPED}")).text


async def test_the_token_opens_the_pages(site: Site) -> None:
    async with connect(replace(site, token=TOKEN)) as client:
        asked = await client.get("/patterns", headers={"Accept": "text/html"})
        assert asked.status_code == 303
        assert asked.headers["location"] == "/login?next=/patterns"
        assert 'type="password"' in (await client.get("/login?next=/patterns")).text
        entered = await client.post("/login", data=LOGIN, headers=FROM_HERE)
        assert entered.headers["location"] == "/patterns?show=open"
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert TOKEN not in cookie
        assert (await client.get("/patterns")).status_code == 200
        await client.post("/logout", headers=FROM_HERE)
        assert (await client.get("/patterns")).status_code == 401


async def test_a_wrong_token_opens_nothing(site: Site) -> None:
    async with connect(replace(site, token=TOKEN)) as client:
        for wrong in ("", TOKEN[:-1], TOKEN + "x", "Ünïcode"):
            refused = await client.post("/login", data={"token": wrong}, headers=FROM_HERE)
            assert refused.status_code == 401
            assert "set-cookie" not in refused.headers
        assert (await client.get("/")).status_code == 401
        assert (await client.get("/metrics")).headers["www-authenticate"] == "Bearer"
        odd = await client.get("/login", params={"next": XSS})
        assert "<script>alert" not in odd.text
        elsewhere = await client.post(
            "/login", data=LOGIN, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert elsewhere.status_code == 403


async def test_programs_bring_the_token_in_a_header(site: Site) -> None:
    async with connect(replace(site, token=TOKEN)) as client:
        good = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/metrics", headers=good)).status_code == 200
        assert (await client.post("/brake", data={"value": "on"}, headers=good)).status_code == 303
        for bad in ("Bearer nonsense", f"Basic {TOKEN}", "Bearer", TOKEN):
            answer = await client.get("/metrics", headers={"Authorization": bad})
            assert answer.status_code == 401
        assert (await client.get("/readyz")).status_code == 503


async def test_sessions_end(site: Site) -> None:
    clock = FixedClock(NOW)
    async with connect(replace(site, token=TOKEN, wall_clock=clock)) as client:
        await client.post("/login", data=LOGIN, headers=FROM_HERE)
        assert (await client.get("/")).status_code == 200
        clock.advance(timedelta(hours=12, seconds=1))
        assert (await client.get("/")).status_code == 401
        refresh = await client.get("/live", headers={"HX-Request": "true"})
        assert (refresh.status_code, refresh.headers["hx-redirect"]) == (401, "/login")


async def test_without_a_token_there_is_nothing_to_log_in_to(client: httpx.AsyncClient) -> None:
    assert (await client.get("/login")).headers["location"] == "/"
    refused = await client.post("/login", data={"token": ""}, headers=FROM_HERE)
    assert refused.status_code == 401


async def _store_report(site: Site, path: str) -> None:
    async with site.store.begin() as tx:
        rows = await tx.training.evaluations(f"run-{STOPPED}")
        await tx.training.add_evaluation(
            f"run-{STOPPED}",
            "candidate",
            {},
            at=NOW,
            gates=rows["candidate"]["gates"],
            report_path=str(Path(path)) if path and ".." not in path else path,
        )
