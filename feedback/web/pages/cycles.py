"""`/cycles`: every cycle, each step of one, its dataset, gates, training and report card."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from feedback.domain.cycle import Cycle
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Transaction
from feedback.web.rendering import fragment, page, section
from feedback.web.site import Site, site_of
from feedback.web.views.cycle import dataset_view, gates_view, outcome_tone, steps_of
from feedback.web.views.training import training_view

router = APIRouter()
_SHOWN = 100
_LARGEST_REPORT = 20 * 1024 * 1024

# The card is made of text from outside: no script, no form, no request, and an origin of its own.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@router.get("/cycles")
async def cycles(site: Annotated[Site, Depends(site_of)]) -> Response:
    """All cycles, newest first."""
    async with site.store.begin() as tx:
        found = await tx.cycles.latest(_SHOWN)
    rows = [(cycle, outcome_tone(cycle.outcome)) for cycle in found]
    return page("cycles.html", cycles=rows, schedule=site.schedule)


@router.get("/cycles/{cycle_id}")
async def cycle(cycle_id: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    """One cycle."""
    async with site.store.begin() as tx:
        values = await _progress(tx, cycle_id)
        found: Cycle = values["cycle"]
        entries = await tx.audit.entries(subject=f"cycle:{cycle_id}")
        dataset = await tx.datasets.get(str(found.context.get("dataset_id", "")))
        evaluations = await tx.training.evaluations(f"run-{cycle_id}")
    candidate = evaluations.get("candidate")
    gates = candidate["gates"] if candidate else None
    _, live = section("cycle_live.html", **values)
    return page(
        "cycle.html",
        cycle=found,
        tone=outcome_tone(found.outcome),
        live=live,
        entries=entries[::-1],
        dataset=dataset_view(dataset) if dataset else None,
        gates=gates_view(gates) if gates else None,
        has_report=_report_path(site, candidate["report_path"] if candidate else None) is not None,
    )


@router.get("/cycles/{cycle_id}/live")
async def live(
    cycle_id: str, request: Request, site: Annotated[Site, Depends(site_of)]
) -> Response:
    """Steps and training of a cycle, for the page to refresh."""
    async with site.store.begin() as tx:
        values = await _progress(tx, cycle_id)
    return fragment(request, "cycle_live.html", **values)


@router.get("/cycles/{cycle_id}/report")
async def report(cycle_id: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    """The report card, in a sandbox.

    Raises:
        NotFoundError: When there is none below the state folder.
    """
    async with site.store.begin() as tx:
        evaluations = await tx.training.evaluations(f"run-{cycle_id}")
    candidate = evaluations.get("candidate")
    path = _report_path(site, candidate["report_path"] if candidate else None)
    if path is None:
        raise NotFoundError(f"cycle {cycle_id} has no report card on this machine")
    return HTMLResponse(
        path.read_text(encoding="utf-8"), headers={"Content-Security-Policy": _SANDBOX}
    )


async def _progress(tx: Transaction, cycle_id: str) -> dict[str, Any]:
    found = await tx.cycles.get(cycle_id)
    if found is None:
        raise NotFoundError(f"there is no cycle {cycle_id}")
    entries = await tx.audit.entries(subject=f"cycle:{cycle_id}")
    run = await tx.training.get(f"run-{cycle_id}")
    return {
        "cycle": found,
        "steps": steps_of(found, entries),
        "training": training_view(run) if run else None,
    }


def _report_path(site: Site, stored: str | None) -> Path | None:
    """Returns the report's file if it lies below the state folder, links followed."""
    if not stored:
        return None
    path = Path(stored).resolve()
    if not path.is_relative_to(site.state_dir.resolve()) or path.suffix != ".html":
        return None
    return path if path.is_file() and path.stat().st_size <= _LARGEST_REPORT else None
