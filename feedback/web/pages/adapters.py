"""`/adapters`: what was trained, from what, and where it is served."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from feedback.errors import NotFoundError
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.web.views.adapter import adapter_detail, adapter_view

router = APIRouter()
_SHOWN = 100


@router.get("/adapters")
async def adapters(site: Annotated[Site, Depends(site_of)]) -> Response:
    """All adapters, newest first."""
    async with site.store.begin() as tx:
        found = await tx.adapters.latest(_SHOWN)
    return page("adapters.html", adapters=[adapter_view(adapter) for adapter in found])


@router.get("/adapters/{adapter_id}")
async def adapter(adapter_id: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    """One adapter with its lineage."""
    async with site.store.begin() as tx:
        found = await tx.adapters.get(adapter_id)
        if found is None:
            raise NotFoundError(f"there is no adapter {adapter_id}")
        version = await tx.datasets.get(found.dataset_id)
        run = await tx.training.get(found.training_run_id)
        lineage = await tx.datasets.sources(found.dataset_id)
        interactions = await tx.datasets.interaction_ids(found.dataset_id, limit=50)
        active = await tx.deployments.active()
    served = active is not None and adapter_id in active.proven
    return page(
        "adapter.html",
        detail=adapter_detail(found, version, run, lineage),
        served=served,
        interactions=interactions,
    )
