"""An application on a fresh database, and an HTTP client that talks to it in process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from feedback.clock import FixedClock
from feedback.domain.trial import Approval
from feedback.store.unit_of_work import Store
from feedback.web.app import create_app
from feedback.web.site import Site
from tests.integration.web.figures import EVIDENCE, NOW, TRIAL
from tests.integration.web.seed import Seeded, seed

Connect = Callable[[Site], AbstractAsyncContextManager[httpx.AsyncClient]]
HOST = "http://127.0.0.1:8600"
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Site:
    return Site(
        store=store,
        clock=FixedClock(NOW),
        wall_clock=FixedClock(NOW),
        state_dir=tmp_path,
        label_gate=60,
    )


@asynccontextmanager
async def connect(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(site), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(site) as opened:
        yield opened


@pytest.fixture
async def seeded(site: Site) -> Seeded:
    return await seed(site.store, site.state_dir)


@pytest.fixture
async def version(site: Site, seeded: Seeded) -> int:
    """The version under which a promotion waits for a person; `amira` asked for the experiment."""
    async with site.store.begin() as tx:
        trial = await tx.experiments.get(TRIAL)
        assert trial is not None
        evidence = {**EVIDENCE, "reason": "better, and every gate is open"}
        ready = await tx.experiments.advance(
            trial, replace(trial, state="READY", decision="PROMOTE", evidence=evidence), NOW
        )
        await tx.connection.exec_driver_sql("update experiments set author = 'amira'")
        await tx.approvals.ask(
            Approval(
                experiment_id=TRIAL,
                version=ready.version,
                asked_at=NOW,
                expires_at=NOW + timedelta(hours=72),
            )
        )
    return ready.version
