"""`/`: the overview, its self-refreshing part, and the brake."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from feedback.domain.cycle import Cycle
from feedback.domain.operating import FROZEN, Act
from feedback.domain.reviewing import agreement
from feedback.operations import set_brake
from feedback.store.cycles import SCHEDULER_LOOKED_AT
from feedback.store.unit_of_work import Transaction
from feedback.web.charts import daily_answers
from feedback.web.pages.acts import ACTOR, ON_THE_PAGE
from feedback.web.rendering import fragment, page, section
from feedback.web.site import Site, site_of
from feedback.web.views import overview as views
from feedback.web.views.experiment import ExperimentView, experiment_view

router = APIRouter()
_DAYS_SHOWN = timedelta(days=41)


@router.get("/")
async def overview(site: Annotated[Site, Depends(site_of)]) -> Response:
    """The page."""
    today = _midnight(site.clock.now())
    since = today - _DAYS_SHOWN
    async with site.store.begin() as tx:
        found = await read_overview(tx, site)
        days = await tx.overview.daily(since)
    rows = [(d.day.isoformat(), d.answers, d.up, d.down) for d in days]
    chart = daily_answers(rows, since.date(), today.date())
    _, live = section("live.html", overview=found)
    return page("overview.html", live=live, days=chart if days else None)


@router.get("/live")
async def live(request: Request, site: Annotated[Site, Depends(site_of)]) -> Response:
    """The part that asks for itself every few seconds."""
    async with site.store.begin() as tx:
        found = await read_overview(tx, site)
    return fragment(request, "live.html", overview=found)


@router.post("/brake")
async def brake(
    site: Annotated[Site, Depends(site_of)], value: Annotated[Literal["on", "off"], Form()]
) -> Response:
    """Pulls or releases the brake: while it is on, every new turn goes to the champion."""
    act = Act(
        by=ACTOR,
        reason=ON_THE_PAGE,
        at=site.clock.now(),
        shown_as="somebody on the web page",
        channel=site.operators_channel,
    )
    async with site.store.begin() as tx:
        await set_brake(tx, on=value == "on", act=act)
    return RedirectResponse("/", status_code=303)


async def read_overview(tx: Transaction, site: Site) -> views.Overview:
    """Reads and builds everything of the self-refreshing part."""
    now = site.clock.now()
    champion, _ = await tx.adapters.champion()
    active = await tx.deployments.active()
    cycles = await tx.cycles.latest(10)
    opened = await tx.cycles.open_cycles()
    datasets = await tx.datasets.latest(1)
    frozen = await tx.overview.switch(FROZEN)
    return views.Overview(
        champion=views.champion_view(
            champion,
            active.base_model if active else "",
            await tx.overview.champion_since(),
            now,
        ),
        deployment=views.deployment_view(active),
        # With several open ones, that which is at work on an adapter was started last.
        cycle=await _running(tx, opened[-1] if opened else None),
        last=views.last_cycle(cycles),
        experiments=await _experiments(tx, site),
        labels=views.label_gate(
            await tx.overview.labels(site.consent),
            site.label_gate,
            datasets[0].labels if datasets else None,
            agreement(await tx.reviewing.pairs(None)),
        ),
        pulse=views.pulse(await tx.switches.get(SCHEDULER_LOOKED_AT), now, site.tick_s),
        backlog=await tx.overview.backlog(),
        frozen=frozen if frozen and frozen.value == "on" else None,
        schedule=site.schedule,
    )


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def _running(tx: Transaction, cycle: Cycle | None) -> views.RunningCycle | None:
    if cycle is None:
        return None
    entries = await tx.audit.entries(subject=f"cycle:{cycle.id}")
    return views.running_cycle(cycle, entries, await tx.training.get(f"run-{cycle.id}"))


async def _experiments(tx: Transaction, site: Site) -> tuple[ExperimentView, ...]:
    return tuple(
        [
            experiment_view(trial, await tx.experiments.stages(trial.id), site.clock.now())
            for trial in await tx.experiments.current()
        ]
    )
