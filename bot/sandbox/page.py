"""The web page: packaged static files, nothing from elsewhere."""

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def index(request: web.Request) -> web.StreamResponse:
    """Serves the page; permalinks open it too, and its script finds the message."""
    return web.FileResponse(
        STATIC / "index.html",
        headers={
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )


def routes() -> list[web.AbstractRouteDef]:
    """Returns the page's routes."""
    return [
        web.get("/", index),
        web.get("/archives/{channel}", index),
        web.get("/archives/{channel}/{message}", index),
        web.static("/static", STATIC),
    ]
