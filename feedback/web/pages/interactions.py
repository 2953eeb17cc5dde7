"""`/interactions`: why did the bot say that?"""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from feedback.errors import NotFoundError
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.web.views.interaction import explain

router = APIRouter()
Show = Literal["all", "down", "abstained", "failed"]
_SHOWN = 50


@router.get("/interactions")
async def interactions(
    site: Annotated[Site, Depends(site_of)], show: Show = "all", find: str = ""
) -> Response:
    """The newest answers; `find` opens one by its id."""
    if find.strip():
        async with site.store.begin() as tx:
            known = await tx.explanations.interaction(find.strip())
        if known is None:
            raise NotFoundError(f"there is no interaction {find.strip()}")
        return RedirectResponse(f"/interactions/{known.id}", status_code=303)
    async with site.store.begin() as tx:
        lines = await tx.explanations.latest(show=show, limit=_SHOWN)
    return page(
        "interactions.html",
        lines=lines,
        show=show,
        shows=Show.__args__,  # type: ignore[attr-defined]
    )


@router.get("/interactions/{interaction_id}")
async def interaction(interaction_id: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    """One answer with everything that stood behind it."""
    async with site.store.begin() as tx:
        item = await tx.explanations.interaction(interaction_id)
        if item is None:
            raise NotFoundError(f"there is no interaction {interaction_id}")
        corrections = await tx.explanations.corrections(interaction_id)
        found = explain(
            item,
            passages=await tx.explanations.passages([hit.chunk_id for hit in item.retrieved]),
            assignment=await tx.explanations.assignment(item.experiment_id, item.thread_key)
            if item.experiment_id
            else None,
            votes=await tx.votes.of_interaction(interaction_id),
            corrections=corrections,
            trained_in=await tx.explanations.trained_in(
                [interaction_id, *(correction.id for correction in corrections)]
            ),
        )
    return page("interaction.html", explanation=found)
