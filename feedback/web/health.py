"""Liveness and readiness."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from feedback.errors import RetryableError
from feedback.web.site import Site, site_of

router = APIRouter()


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
async def readyz(site: Annotated[Site, Depends(site_of)]) -> PlainTextResponse:
    """The database answers and a model server is proven."""
    try:
        async with site.store.begin() as tx:
            active = await tx.deployments.active()
    except RetryableError:
        return PlainTextResponse("the database cannot be reached", status_code=503)
    if active is None:
        return PlainTextResponse("no model server is proven yet", status_code=503)
    return PlainTextResponse("ready")
