"""`/why`: why (not) this week, gate by gate; Slack and the command line say the same."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from feedback.domain.outlook import GateState
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.why import read_why

router = APIRouter()
_TONES = {GateState.OPEN: "good", GateState.CLOSED: "wait", GateState.NOTE: "quiet"}


@router.get("/why")
async def why(site: Annotated[Site, Depends(site_of)]) -> Response:
    """The report, as the record stands."""
    async with site.store.begin() as tx:
        report = await read_why(tx, site.why, site.clock.now())
    return page("why.html", report=report, tones=_TONES)
