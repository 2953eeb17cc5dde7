"""`/audit`: who moved what, and whether the chain is whole."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from feedback.errors import ConflictError
from feedback.web.rendering import page
from feedback.web.site import Site, site_of

router = APIRouter()
_SHOWN = 100


@router.get("/audit")
async def audit(
    site: Annotated[Site, Depends(site_of)],
    subject: str = "",
    before: int | None = None,
) -> Response:
    """Entries, newest first; all of them, or of one subject."""
    async with site.store.begin() as tx:
        entries = await tx.audit.entries(subject=subject or None, before=before, limit=_SHOWN + 1)
    return page(
        "audit.html",
        entries=entries[:_SHOWN],
        older=entries[_SHOWN - 1].id if len(entries) > _SHOWN else None,
        subject=subject,
    )


@router.get("/audit/check")
async def check(site: Annotated[Site, Depends(site_of)]) -> Response:
    """Walks the whole chain; the page asks for it by itself."""
    try:
        async with site.store.begin() as tx:
            count = await tx.audit.verify()
    except ConflictError as exc:
        return page("audit_check.html", count=None, problem=str(exc))
    return page("audit_check.html", count=count, problem=None)
