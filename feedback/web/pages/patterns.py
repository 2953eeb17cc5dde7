"""`/patterns`: what goes wrong again and again, and what people decided about it."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from feedback.domain.digest import fix_effect
from feedback.domain.operating import Act
from feedback.domain.pattern import PatternDecision
from feedback.errors import NotFoundError
from feedback.operations import decide_pattern
from feedback.web.charts import named_bars, stacked_by_week
from feedback.web.pages.acts import ACTOR, ON_THE_PAGE
from feedback.web.rendering import page
from feedback.web.site import Site, site_of
from feedback.web.views.pattern import PatternRecord, pattern_detail, pattern_view
from feedback.web.words import plain

router = APIRouter()
Show = Literal["all", "open", "accepted", "rejected", "resolved", "regression"]
_EXAMPLES = 40
_SHOWN_WEEKS = timedelta(weeks=12)


@router.get("/patterns")
async def patterns(site: Annotated[Site, Depends(site_of)], show: Show = "all") -> Response:
    """The newest run's patterns, most urgent first."""
    async with site.store.begin() as tx:
        current = await tx.patterns.current()
        weeks = await tx.patterns.by_week(site.clock.now() - _SHOWN_WEEKS)
        tone = await tx.patterns.tone()
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
        tone=tone.sentence if tone else "",
        show=show,
        shows=Show.__args__,  # type: ignore[attr-defined]
        chart=named_bars("Failures by the fix that would do", rows, unit="failures")
        if rows
        else None,
        weeks=stacked_by_week(
            "Failures by week",
            [(w.isoformat(), plain(v), count) for w, v, count in weeks],
            of="fix",
        )
        if len({week for week, _, _ in weeks}) > 1
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
        now = site.clock.now()
        counts = (await tx.patterns.counts(now)).get(found.id)
        record = PatternRecord(
            lines=lines,
            per_day=await tx.explanations.per_day(found.member_ids),
            events=await tx.patterns.history(found.id),
            decisions=await tx.audit.entries(subject=f"pattern:{found.id}"),
            fix=fix_effect(found, counts, now) if counts else None,
        )
    return page("pattern.html", detail=pattern_detail(found, record))


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
