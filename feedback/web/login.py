"""The login form: one token, one cookie."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from feedback.web.rendering import page
from feedback.web.sessions import COOKIE, LIFETIME, issue, token_matches
from feedback.web.site import Site, site_of

router = APIRouter()


@router.get("/login")
async def form(request: Request, site: Annotated[Site, Depends(site_of)]) -> Response:
    """Asks for the token; without one there is nothing to ask for."""
    target = local_path(request.query_params.get("next", "/"))
    if site.token is None:
        return RedirectResponse(target, status_code=303)
    return page("login.html", target=target, refused=False)


@router.post("/login")
async def enter(
    request: Request,
    site: Annotated[Site, Depends(site_of)],
    token: Annotated[str, Form()] = "",
    target: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Gives a session to whoever knows the token."""
    if site.token is None or not token_matches(site.token, token):
        return page("login.html", status=401, target=local_path(target), refused=True)
    response = RedirectResponse(local_path(target), status_code=303)
    response.set_cookie(
        COOKIE,
        issue(site.token, site.wall_clock.now()),
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        secure=request.url.scheme == "https",
        # Lax, so that a link in a Slack message opens; requests that change something are
        # checked for their origin by the guard.
        samesite="lax",
    )
    return response


@router.post("/logout")
async def leave() -> Response:
    """Ends the session of this browser."""
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(COOKIE)
    return response


def local_path(target: str) -> str:
    """Returns `target` when it is a path of this site, else the start page."""
    odd = not target.isprintable() or "\\" in target
    return "/" if odd or not target.startswith("/") or target.startswith("//") else target
