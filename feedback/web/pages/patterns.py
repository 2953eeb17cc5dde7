"""`/patterns`: what goes wrong again and again, and what people decided about it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from feedback.domain.operating import Act
from feedback.domain.pattern import PatternDecision
from feedback.errors import NotFoundError
from feedback.operations import decide_pattern
from feedback.web.charts import named_bars
from feedback.web.pages.acts import ACTOR, ON_THE_PAGE
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.web.views.pattern import pattern_detail, pattern_view
from feedback.web.words import plain

router = APIRouter()
Show = Literal["all", "open", "accepted", "rejected", "resolved", "regression"]
_EXAMPLES = 40


@router.get("/patterns")
async def patterns(site: Annotated[Site, Depends(site_of)], show: Show = "all") -> Response:
    """The newest run's patterns, most urgent first."""
    async with site.store.begin() as tx:
        current = await tx.patterns.current()
    by_fix: dict[str, int] = {}
    for pattern in current:
        fix = plain(pattern.verdict)
        by_fix[fix] = by_fix.get(fix, 0) + pattern.size
    rows = sorted(by_fix.items(), key=lambda item: -item[1])
    return page(
        "patterns.html",
        patterns=[pattern_view(p) for p in current if show in {"all", p.status}],
        total=len(current),
        failures=sum(pattern.size for pattern in current),
        show=show,
        shows=Show.__args__,  # type: ignore[attr-defined]
        chart=named_bars("Failures by the fix that would do", rows, unit="failures")
        if rows
        else None,
    )


@router.get("/patterns/{pattern_id}")
async def pattern(pattern_id: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    """One pattern with its examples."""
    async with site.store.begin() as tx:
        found = await tx.patterns.get(pattern_id)
        if found is None:
            raise NotFoundError(f"there is no pattern {pattern_id}")
        names = list(dict.fromkeys((*found.example_ids, *found.evidence_ids)))[:_EXAMPLES]
        lines = await tx.explanations.lines(names)
        per_day = await tx.explanations.per_day(found.member_ids)
    return page("pattern.html", detail=pattern_detail(found, lines, per_day))


@router.post("/patterns/{pattern_id}/decision")
async def decide(
    pattern_id: str,
    decision: Annotated[PatternDecision, Form()],
    site: Annotated[Site, Depends(site_of)],
) -> Response:
    """Stores what a person decided about a pattern."""
    act = Act(by=ACTOR, reason=ON_THE_PAGE, at=site.clock.now())
    async with site.store.begin() as tx:
        await decide_pattern(tx, act, pattern_id, decision)
    return RedirectResponse(f"/patterns/{pattern_id}", status_code=303)
