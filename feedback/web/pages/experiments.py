"""`/experiments`: champion against challenger."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from feedback.errors import NotFoundError
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.web.views.experiment import decision_tone, experiment_view
from feedback.why import read_why

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
    async with site.store.begin() as tx:
        trial = await tx.experiments.get(experiment_id)
        if trial is None:
            raise NotFoundError(f"there is no experiment {experiment_id}")
        stages = await tx.experiments.stages(experiment_id)
        looks = await tx.experiments.looks(experiment_id)
        entries = await tx.audit.entries(subject=f"experiment:{experiment_id}")
        current = await tx.experiments.current()
        outlook = None
        if current is not None and current.id == experiment_id:
            outlook = (await read_why(tx, site.why, site.clock.now())).promotion
    found = experiment_view(trial, stages, site.clock.now(), looks=looks, outlook=outlook)
    return page(
        "experiment.html",
        experiment=found,
        tone=decision_tone(found.decision),
        entries=entries[::-1],
    )
