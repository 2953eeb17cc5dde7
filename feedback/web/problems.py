"""Errors as pages: one sentence, no traceback; what a person cannot mend gets an incident id."""

import logging
import secrets

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from feedback.errors import ConflictError, InvalidInputError, NotFoundError, RetryableError
from feedback.web.rendering import page

_log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Teaches an application how to answer when something is wrong."""
    app.add_exception_handler(NotFoundError, _answer(404, "Not found"))
    app.add_exception_handler(ConflictError, _answer(409, "Somebody was faster"))
    app.add_exception_handler(InvalidInputError, _answer(400, "That does not work"))
    app.add_exception_handler(RetryableError, _answer(503, "The record cannot be reached"))
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _incident)


def _answer(status: int, title: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  (handler)
    async def handle(_: Request, exc: Exception) -> HTMLResponse:
        return page("problem.html", status=status, title=title, sentence=str(exc))

    return handle


async def _malformed(_: Request, __: Exception) -> HTMLResponse:
    sentence = "The form or the address lacks a value, or holds one that is not possible."
    return page("problem.html", status=400, title="That does not work", sentence=sentence)


async def _http(_: Request, exc: Exception) -> HTMLResponse:
    assert isinstance(exc, HTTPException)
    title = "Not found" if exc.status_code == 404 else "That does not work"
    return page("problem.html", status=exc.status_code, title=title, sentence=str(exc.detail))


async def _incident(request: Request, exc: Exception) -> HTMLResponse:
    incident = secrets.token_hex(4)
    _log.error("web page failed: %s, incident %s", request.url.path, incident, exc_info=exc)
    sentence = f"This page could not be made. The log of the web process says why: {incident}."
    return page("problem.html", status=500, title="Something broke", sentence=sentence)
