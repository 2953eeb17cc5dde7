"""Stands before every route: host names, login, requests from other sites, response headers.

Without a token the pages trust whoever reaches them, so they only answer to loopback names: a page
of another site cannot read them by pointing its own name at 127.0.0.1 (DNS rebinding).
"""

from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedback.clock import Clock
from feedback.web.sessions import COOKIE, is_valid, token_matches
from feedback.web.site import is_loopback

_PROBES = ("/healthz", "/readyz")
_WITHOUT_LOGIN = (*_PROBES, "/login")
_SAFE = ("GET", "HEAD")
_FOR_GOOD = "public, max-age=31536000, immutable"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every response unless a route set its own."""


class Guard:
    """ASGI middleware; refuses before anything is read from the record."""

    def __init__(self, app: ASGIApp, *, token: str | None, wall_clock: Clock) -> None:
        """Creates the guard.

        Args:
            app: What it stands before.
            token: The access token; None lets everybody in who comes over a loopback name.
            wall_clock: Real time, for the end of sessions.
        """
        self._app = app
        self._token = token
        self._clock = wall_clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith("/static/") and b"v=" in scope["query_string"]:
                    headers.setdefault("Cache-Control", _FOR_GOOD)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        path = request.url.path
        if path not in _PROBES and self._token is None and not _by_loopback_name(request):
            return PlainTextResponse(
                f"This page answers to 127.0.0.1 and localhost only, not to "
                f"{request.headers.get('host', '')!r}; set UNDERSTUDY_WEB__TOKEN to use other "
                "names",
                status_code=421,
            )
        if request.method not in _SAFE and not self._from_here(request):
            return PlainTextResponse(
                "This request came from another site and was not carried out", status_code=403
            )
        if path in _WITHOUT_LOGIN or path.startswith("/static/") or self._known(request):
            return None
        return _ask_for_login(request)

    def _known(self, request: Request) -> bool:
        if self._token is None or self._bearer(request):
            return True
        return is_valid(self._token, request.cookies.get(COOKIE, ""), self._clock.now())

    def _bearer(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return (
            self._token is not None
            and scheme.lower() == "bearer"
            and token_matches(self._token, given.strip())
        )

    def _from_here(self, request: Request) -> bool:
        """Whether a request that changes something was made by one of our own pages.

        A browser says so itself (Fetch Metadata, else Origin); who brings the token needs no
        browser. A request that says nothing of the kind is refused.
        """
        if self._bearer(request):
            return True
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = request.headers.get("origin")
        return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _by_loopback_name(request: Request) -> bool:
    return is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or "")


def _ask_for_login(request: Request) -> Response:
    here = request.url.path
    if request.headers.get("hx-request"):
        # A section that refreshes itself: the whole page has to go to the form.
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    if "text/html" in request.headers.get("accept", "") and request.method in _SAFE:
        return RedirectResponse(f"/login?next={quote(here)}", status_code=303)
    return PlainTextResponse(
        "A token is needed: send it as 'Authorization: Bearer ...'",
        status_code=401,
        headers={"WWW-Authenticate": "Bearer"},
    )
