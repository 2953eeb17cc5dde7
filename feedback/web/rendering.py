"""Templates: everything is escaped, a missing value is an error, no script stands in a page."""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from feedback.web import words


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    """Returns a rendered page.

    Args:
        template: File below `templates`.
        status: HTTP status.
        **values: What the template reads.
    """
    return HTMLResponse(templates().get_template(template).render(values), status_code=status)


def fragment(request: Request, template: str, **values: Any) -> Response:  # noqa: ANN401
    """Returns a section that refreshes itself; 204 when the browser shows this very text already.

    The section asks with the digest it was given as `seen`, and nothing flickers without news.
    """
    digest, text = section(template, **values)
    if request.query_params.get("seen") == digest:
        return Response(status_code=204)
    return HTMLResponse(text)


def section(template: str, **values: Any) -> tuple[str, Markup]:  # noqa: ANN401
    """Renders a self-refreshing section; its template finds its own digest as `digest`."""
    found = templates().get_template(template)
    digest = hashlib.sha256(found.render(values, digest="").encode()).hexdigest()[:16]
    # Rendered by the escaping environment above: this is markup, not text.
    return digest, Markup(found.render(values, digest=digest))  # noqa: S704


def _coded(text: str) -> Markup:
    """Returns text as markup; what stands between backticks is code."""
    parts = [escape(part) for part in text.split("`")]
    marked = [Markup("<code>{}</code>").format(p) if n % 2 else p for n, p in enumerate(parts)]
    return Markup("").join(marked)


@cache
def templates() -> Environment:
    """Returns the template environment of the packaged pages."""
    environment = Environment(
        loader=PackageLoader("feedback.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "json": lambda value: json.dumps(value, separators=(",", ":")),
        "coded": _coded,
        "decision": words.decision,
        "moment": words.moment,
        "number": words.number,
        "percent": words.percent,
        "figure": words.figure,
        "plain": words.plain,
        "short": words.short,
        "duration": words.duration,
    }
    environment.globals["static"] = static_url
    return environment


@cache
def static_url(name: str) -> str:
    """Returns the address of a packaged file; it changes with the content, so it caches well."""
    content = resources.files("feedback.web").joinpath("static", *name.split("/")).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
