"""`/experiments`: champion against challenger, and what people decide about it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from feedback.domain.operating import Act
from feedback.domain.override import override_words
from feedback.domain.trial import PAUSABLE_STATES, Verdict
from feedback.overriding import read_objections
from feedback.pausing import set_pause
from feedback.promoting import decide_promotion
from feedback.web.pages.acts import ACTOR, ON_THE_PAGE
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.web.views.experiment import approval_view, decision_tone, experiment_view
from feedback.why import read_promotion

router = APIRouter()
_SHOWN = 100


@router.get("/experiments")
async def experiments(site: Annotated[Site, Depends(site_of)]) -> Response:
    """All experiments, newest first."""
    async with site.store.begin() as tx:
        trials = await tx.experiments.latest(_SHOWN)
    now = site.clock.now()
    found = [experiment_view(trial, (), now) for trial in trials]
    rows = [(view, decision_tone(view.decision)) for view in found]
    return page("experiments.html", experiments=rows)


@router.get("/experiments/{experiment_id}")
async def experiment(experiment_id: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    """One experiment."""
    now = site.clock.now()
    async with site.store.begin() as tx:
        trial = await tx.experiments.require(experiment_id)
        stages = await tx.experiments.stages(experiment_id)
        looks = await tx.experiments.looks(experiment_id)
        entries = await tx.audit.entries(subject=f"experiment:{experiment_id}")
        outlook = await read_promotion(tx, trial, now) if trial.ended_at is None else None
        approval = await tx.approvals.get(trial.id, trial.version)
        against = await read_objections(tx, trial)
    found = experiment_view(trial, stages, now, looks=looks, outlook=outlook)
    return page(
        "experiment.html",
        experiment=found,
        tone=decision_tone(found.decision),
        entries=entries[::-1],
        approval=approval_view(trial, approval, now),
        pausable=trial.state in PAUSABLE_STATES,
        against=against,
        by_hand=override_words(()),
    )


@router.post("/experiments/{experiment_id}/approval")
async def decide(
    experiment_id: str,
    version: Annotated[int, Form()],
    verdict: Annotated[Verdict, Form()],
    by: Annotated[str, Form(min_length=1, max_length=80, pattern=r"\S")],
    reason: Annotated[str, Form(min_length=1, max_length=500, pattern=r"\S")],
    site: Annotated[Site, Depends(site_of)],
) -> Response:
    """Approves or denies a promotion that waits, as the form showed it."""
    act = _act(site, f"{reason.strip()} ({ON_THE_PAGE})", by=by.strip())
    async with site.store.begin() as tx:
        ruled = await decide_promotion(tx, act, experiment_id, version, verdict)
    if not ruled.effective:
        return page("problem.html", status=409, title="No effect", sentence=ruled.told)
    return RedirectResponse(f"/experiments/{experiment_id}", status_code=303)


@router.post("/experiments/{experiment_id}/pause")
async def pause(
    experiment_id: str,
    value: Annotated[Literal["on", "off"], Form()],
    site: Annotated[Site, Depends(site_of)],
) -> Response:
    """Lets no new thread join an experiment, or lets it go on."""
    async with site.store.begin() as tx:
        await set_pause(tx, _act(site, ON_THE_PAGE), on=value == "on", experiment=experiment_id)
    return RedirectResponse(f"/experiments/{experiment_id}", status_code=303)


def _act(site: Site, reason: str, *, by: str = "") -> Act:
    return Act(
        by=by or ACTOR,
        reason=reason,
        at=site.clock.now(),
        shown_as="" if by else "somebody on the web page",
        channel=site.operators_channel,
    )
