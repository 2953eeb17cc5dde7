"""On its page a promotion is approved or denied, once and in time, and an experiment paused."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from feedback.clock import FixedClock
from feedback.domain.audit import AuditEntry
from feedback.domain.trial import Approval, Verdict
from feedback.web.site import Site
from tests.integration.web.conftest import FROM_HERE, connect
from tests.integration.web.figures import NOW, TRIAL
from tests.integration.web.seed import Seeded

PAGE = f"/experiments/{TRIAL}"
TOKEN = "a token of sixteen characters"


async def say(
    client: httpx.AsyncClient, version: int, verdict: str = "granted", by: str = "Ben"
) -> httpx.Response:
    data = {"version": str(version), "verdict": verdict, "by": by, "reason": "clearly better"}
    return await client.post(f"{PAGE}/approval", data=data, headers=FROM_HERE)


async def approval(site: Site, version: int) -> Approval:
    async with site.store.begin() as tx:
        found = await tx.approvals.get(TRIAL, version)
    assert found is not None
    return found


async def trail(site: Site) -> list[AuditEntry]:
    async with site.store.begin() as tx:
        await tx.audit.verify()
        return await tx.audit.entries(subject=f"experiment:{TRIAL}")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("granted", "becomes the champion"), ("denied", "the experiment ends")],
)
async def test_the_first_click_counts_and_the_second_leaves_a_trace(
    client: httpx.AsyncClient, site: Site, version: int, verdict: str, words: str
) -> None:
    asked = (await client.get(PAGE)).text
    assert "Shall adapter-" in asked
    assert "better, and every gate is open" in asked
    assert f'name="version" value="{version}"' in asked
    assert "Shall it become the champion?" in (await client.get("/")).text
    done = await say(client, version, verdict)
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    again = await say(client, version, "granted", by="Chloe")
    assert again.status_code == 409
    assert "Nothing was changed: it was" in again.text
    assert "by Ben already" in again.text
    found = await approval(site, version)
    assert (found.verdict, found.decided_by) == (Verdict(verdict), "Ben")
    assert found.reason == "clearly better (set on the web page)"
    late, first = (await trail(site))[:2]
    assert (first.actor, late.actor) == ("Ben", "Chloe")
    assert "without effect" in late.reason
    shown = (await client.get(PAGE)).text
    assert words in shown
    assert "Do not promote" not in shown


async def test_an_older_version_and_a_late_click_have_no_effect(
    client: httpx.AsyncClient, site: Site, version: int
) -> None:
    assert (await say(client, version - 1)).status_code == 409
    assert isinstance(site.clock, FixedClock)
    site.clock.advance(timedelta(hours=73))
    late = await say(client, version)
    assert late.status_code == 409
    assert "it expired on" in late.text
    assert (await approval(site, version)).verdict is None
    assert [e.reason.split(":")[0] for e in (await trail(site))[:2]] == [
        "approval without effect",
        "approval without effect",
    ]
    assert "Do not promote" not in (await client.get(PAGE)).text


async def test_whoever_asked_for_the_experiment_does_not_approve_it(
    client: httpx.AsyncClient, site: Site, version: int
) -> None:
    own = await say(client, version, by=" amira ")
    assert own.status_code == 409
    assert "somebody else has to approve it" in own.text
    assert (await approval(site, version)).verdict is None


async def test_an_experiment_that_moved_on_is_not_decided_by_an_old_page(
    client: httpx.AsyncClient, site: Site, version: int
) -> None:
    async with site.store.begin() as tx:
        trial = await tx.experiments.get(TRIAL)
        assert trial is not None
        await tx.experiments.advance(trial, replace(trial, state="TEST"), NOW)
    assert "moved on" in (await say(client, version)).text
    assert "Shall adapter-" not in (await client.get(PAGE)).text


async def test_a_form_that_lacks_something_or_comes_from_elsewhere_changes_nothing(
    client: httpx.AsyncClient, site: Site, version: int
) -> None:
    full = {"version": str(version), "verdict": "granted", "by": "Ben", "reason": "good"}
    for lacking in ({"by": " "}, {"reason": ""}, {"verdict": "maybe"}, {"version": "x"}):
        answer = await client.post(f"{PAGE}/approval", data=full | lacking, headers=FROM_HERE)
        assert answer.status_code == 400, lacking
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for path, data in ((f"{PAGE}/approval", full), (f"{PAGE}/pause", {"value": "on"})):
        assert (await client.post(path, data=data, headers=elsewhere)).status_code == 403
        assert (await client.post(path, data=data)).status_code == 403
    assert (await approval(site, version)).verdict is None


async def test_with_a_token_nobody_decides_who_is_not_logged_in(site: Site, version: int) -> None:
    async with connect(replace(site, token=TOKEN)) as client:
        assert (await say(client, version)).status_code == 401
        assert (await approval(site, version)).verdict is None
        await client.post("/login", data={"token": TOKEN}, headers=FROM_HERE)
        assert (await say(client, version)).status_code == 303
    assert (await approval(site, version)).verdict is Verdict.GRANTED


async def test_it_is_paused_and_goes_on(
    client: httpx.AsyncClient, site: Site, seeded: Seeded
) -> None:
    assert "Resume" not in (await client.get(PAGE)).text
    for _ in range(2):
        done = await client.post(f"{PAGE}/pause", data={"value": "on"}, headers=FROM_HERE)
        assert done.headers["location"] == PAGE
    shown = (await client.get(PAGE)).text
    assert "Paused since 2 Mar 2026, 09:00 (operator)" in shown
    assert "new threads go to the champion" in shown
    assert "no new thread joins it" in (await client.get("/")).text
    assert "ramp, paused" in (await client.get("/experiments")).text
    assert "operator paused it" in (await client.get("/why")).text
    async with site.store.begin() as tx:
        route = await tx.routing.route()
    assert [each.paused for each in route.experiments] == [True]
    await client.post(f"{PAGE}/pause", data={"value": "off"}, headers=FROM_HERE)
    assert "Paused since" not in (await client.get(PAGE)).text
    assert [e.reason.split(":")[0] for e in (await trail(site))[:2]] == ["resumed", "paused"]
    nothing = await client.post("/experiments/e-no/pause", data={"value": "on"}, headers=FROM_HERE)
    assert nothing.status_code == 404


async def test_an_undecided_end_says_whether_a_person_may_go_over_it(
    client: httpx.AsyncClient, site: Site, seeded: Seeded
) -> None:
    async with site.store.begin() as tx:
        trial = await tx.experiments.get(TRIAL)
        assert trial is not None
        await tx.experiments.advance(
            trial, replace(trial, state="INCONCLUSIVE", decision="INCONCLUSIVE", ended_at=NOW), NOW
        )
    shown = (await client.get(PAGE)).text
    assert "It cannot be promoted by hand" in shown
    assert "must surely be above -0.030" in shown
    assert "<code>understudy experiment start adapter-" in shown
    assert "Pause" not in shown
