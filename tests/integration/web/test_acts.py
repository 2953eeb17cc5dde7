"""What people do on the pages reaches the record and the audit trail; health and metrics."""

import httpx
import pytest
from sqlalchemy import text

from feedback.store.unit_of_work import Store
from feedback.web.app import create_app
from feedback.web.site import Site
from tests.integration.web.conftest import FROM_HERE, HOST
from tests.integration.web.figures import CHAMPION, TRIAL
from tests.integration.web.seed import Seeded


@pytest.mark.parametrize(
    ("decision", "status", "next_button"),
    [
        ("accept", "accepted", "Mark resolved"),
        ("reject", "rejected", "Reopen"),
        ("resolve", "resolved", "Reopen"),
    ],
)
async def test_a_pattern_is_decided(
    client: httpx.AsyncClient,
    site: Site,
    seeded: Seeded,
    decision: str,
    status: str,
    next_button: str,
) -> None:
    for _ in range(2):
        done = await client.post(
            "/patterns/p-0/decision", data={"decision": decision}, headers=FROM_HERE
        )
        assert done.headers["location"] == "/patterns/p-0"
    async with site.store.begin() as tx:
        pattern = await tx.patterns.get("p-0")
        entries = await tx.audit.entries(subject="pattern:p-0")
        others = [p.status for p in await tx.patterns.current() if p.id != "p-0"]
    assert pattern is not None
    assert pattern.status == status
    assert [(e.from_state, e.to_state, e.actor) for e in entries] == [("open", status, "operator")]
    assert set(others) == {"open"}
    assert next_button in (await client.get("/patterns/p-0")).text
    listed = (await client.get(f"/patterns?show={status}")).text
    assert "/patterns/p-0" in listed
    assert "/patterns/p-1" not in listed


async def test_odd_decisions_are_refused(client: httpx.AsyncClient, seeded: Seeded) -> None:
    for path, data, expected in (
        ("/patterns/p-0/decision", {"decision": "burn"}, 400),
        ("/patterns/p-0/decision", {}, 400),
        ("/patterns/nothing/decision", {"decision": "accept"}, 404),
        ("/brake", {"value": "maybe"}, 400),
    ):
        answer = await client.post(path, data=data, headers=FROM_HERE)
        assert answer.status_code == expected


async def test_the_brake_is_pulled_and_released(
    client: httpx.AsyncClient, site: Site, seeded: Seeded
) -> None:
    await client.post("/brake", data={"value": "on"}, headers=FROM_HERE)
    await client.post("/brake", data={"value": "on"}, headers=FROM_HERE)
    assert "every new turn goes to the champion" in (await client.get("/")).text
    async with site.store.begin() as tx:
        assert (await tx.routing.route()).frozen
        assert len(await tx.audit.entries(subject="switch:frozen")) == 1
    await client.post("/brake", data={"value": "off"}, headers=FROM_HERE)
    assert "every new turn goes to the champion" not in (await client.get("/live")).text


async def test_a_broken_chain_is_told(
    client: httpx.AsyncClient, site: Site, seeded: Seeded
) -> None:
    assert "the chain is whole" in (await client.get("/audit/check")).text
    async with site.store.begin() as tx:
        await tx.connection.execute(text("update audit set actor = 'nobody' where id = 3"))
    assert "audit entry 3 was changed" in (await client.get("/audit/check")).text


async def test_long_trails_are_paged(client: httpx.AsyncClient, site: Site, seeded: Seeded) -> None:
    async with site.store.begin() as tx:
        for number in range(100):
            await tx.audit.append(
                subject="s",
                from_state=str(number),
                to_state=str(number + 1),
                actor="a",
                reason="r",
                at=site.clock.now(),
            )
    first = (await client.get("/audit?subject=s")).text
    assert "Older entries" not in first
    page = (await client.get("/audit")).text
    older = page.split('href="/audit?before=')[1].split('"')[0]
    assert "cycle:c20260215-030000" in (await client.get(f"/audit?before={older}")).text


async def test_metrics_of_an_empty_and_a_full_record(client: httpx.AsyncClient, site: Site) -> None:
    empty = (await client.get("/metrics")).text
    assert "understudy_answers 0\n" in empty
    assert 'understudy_cycle_state{state="training"} 0\n' in empty
    assert "understudy_experiment" not in empty


async def test_metrics_of_a_full_record(client: httpx.AsyncClient, seeded: Seeded) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    for line in (
        "understudy_inbox_waiting 1",
        "understudy_inbox_failed 1",
        "understudy_inbox_parked 0",
        'understudy_answers_by_arm{arm="challenger"} 1',
        'understudy_cycle_state{state="experimenting"} 1',
        'understudy_cycles{outcome="stopped"} 1',
        f'understudy_experiment_e_value{{experiment="{TRIAL}",channel="primary"}} 3.41',
        f'understudy_experiment_guardrail_e_value{{experiment="{TRIAL}",metric="slow"}} 2.4',
        f'understudy_experiment_threads{{experiment="{TRIAL}",arm="challenger"}} 1',
        f'understudy_experiment_share{{experiment="{TRIAL}"}} 0.25',
        'understudy_corrections{state="approved"} 28',
        "understudy_labels 28",
        "understudy_labels_trainable 23",
        "understudy_label_gate 60",
        "understudy_frozen 0",
        "understudy_scheduler_age_seconds 20",
    ):
        assert line in lines, line
    votes = [line for line in lines if line.startswith("understudy_votes{")]
    assert len(votes) == 2
    samples = [line for line in lines if not line.startswith("#")]
    assert len({line.rpartition(" ")[0] for line in samples}) == len(samples)


async def test_readiness_follows_the_deployment(
    client: httpx.AsyncClient, site: Site, seeded: Seeded
) -> None:
    assert (await client.get("/readyz")).text == "ready"
    async with site.store.begin() as tx:
        active = await tx.deployments.active()
        assert active is not None
        await tx.deployments.update(active.id, site.clock.now(), state="stopped")
    assert (await client.get("/readyz")).status_code == 503
    page = (await client.get("/")).text
    assert "nobody can be answered" in page
    assert CHAMPION in page


async def test_a_database_that_is_gone_is_a_page_in_words(site: Site) -> None:
    gone = Store.connect("postgresql://nobody@127.0.0.1:1/none")
    values = {name: getattr(site, name) for name in ("clock", "wall_clock", "state_dir")}
    transport = httpx.ASGITransport(create_app(Site(store=gone, **values)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        page = await client.get("/")
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")
    await gone.close()
    assert (page.status_code, ready.status_code, alive.status_code) == (503, 503, 200)
    assert "The record cannot be reached" in page.text
    assert "Traceback" not in page.text


async def test_a_page_that_breaks_tells_an_incident_and_nothing_else(
    client: httpx.AsyncClient, site: Site, seeded: Seeded, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.store.begin() as tx:
        await tx.connection.execute(text("update cycles set state = 'nonsense'"))
    broken = await client.get("/cycles")
    assert broken.status_code == 500
    assert "nonsense" not in broken.text
    incident = broken.text.split("says why: ")[1][:8]
    assert incident in caplog.text
    assert "default-src 'none'" in broken.headers["content-security-policy"]
