"""The web application: a guard before a few routers, and packaged files."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from feedback.web import health, login, metrics, problems
from feedback.web.guard import Guard
from feedback.web.pages import (
    adapters,
    audit,
    cycles,
    experiments,
    interactions,
    overview,
    patterns,
    why,
)
from feedback.web.site import Site

_STATIC = Path(__file__).parent / "static"


def create_app(site: Site) -> ASGIApp:
    """Returns the application; the caller closes the site's store."""
    app = FastAPI(title="Understudy", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    for part in (
        health,
        metrics,
        login,
        overview,
        why,
        cycles,
        patterns,
        experiments,
        adapters,
        audit,
        interactions,
    ):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=_STATIC))
    problems.install(app)
    # Around everything, the page for unexpected errors included.
    return Guard(app, token=site.token, wall_clock=site.wall_clock)
