"""The planted faults of the wire: statuses, delays, broken and false ends of streams."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrain.server.replies import (
    generation_refusal,
    overloaded_refusal,
    unhealthy_refusal,
    validation_refusal,
)

GENERATION = ("/", "/generate", "/generate_stream", "/v1/chat/completions", "/v1/completions")
WIRE = ("status", "fail-after", "slow-first-token", "slow-tokens", "cut-stream", "end-stream",
        "error-event")  # fmt: skip
JSON = "application/json"


def _refused(status: int) -> tuple[str, bytes]:
    """Returns content type and body as TGI, axum or a gateway would send them."""
    refusals = (
        *(validation_refusal("planted"), generation_refusal("planted")),
        *(overloaded_refusal(), unhealthy_refusal()),
    )
    for refusal in refusals:
        if refusal.status == status:
            return JSON, json.dumps(refusal.body()).encode()
    if status == 500:
        body = {"error": "Incomplete generation", "error_type": "incomplete_generation"}
        return JSON, json.dumps(body).encode()
    if status in {502, 504}:
        return "text/html", b"<html><body><h1>Bad Gateway</h1></body></html>"
    return "text/plain", b"" if status == 401 else b"planted"


class _StreamOverError(Exception):
    """Nothing more is sent of this answer."""


class FaultyWire:
    """An ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, planted: Mapping[str, Any]) -> None:
        self._app, self._planted = app, planted
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request of generation wrongly, and every other one as it is."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in GENERATION:
            await self._app(scope, receive, send)
            return
        self._requests += 1
        if self._requests > self._planted.get("fail-after", 0) and (
            {"status", "fail-after"} & self._planted.keys()
        ):
            await _answer(self._planted.get("status", 500), send)
            return
        answer = _FaultyAnswer(self._planted, send, openai=scope["path"].startswith("/v1/"))
        try:
            await self._app(scope, receive, answer.send)
        except _StreamOverError:
            return  # an answer that was not completed makes the server close the connection


class _FaultyAnswer:
    def __init__(self, planted: Mapping[str, Any], send: Send, *, openai: bool) -> None:
        self._planted, self._send, self._openai = planted, send, openai
        self._events = 0

    async def send(self, message: Message) -> None:
        """Passes a message on, later or not at all."""
        if message["type"] == "http.response.start":
            await asyncio.sleep(self._planted.get("slow-first-token", 0.0))
        elif message.get("body", b"").startswith(b"data: "):
            await self._event()
        await self._send(message)

    async def _event(self) -> None:
        if self._events:
            await asyncio.sleep(self._planted.get("slow-tokens", 0.0))
        if self._planted.get("cut-stream") == self._events:
            raise _StreamOverError
        if self._planted.get("end-stream") == self._events:
            await self._end(b"")
        if self._planted.get("error-event") == self._events:
            refusal = generation_refusal("planted")
            error = refusal.openai_event() if self._openai else refusal.body()
            await self._end(f"data: {json.dumps(error)}\n\n".encode())
        self._events += 1

    async def _end(self, last: bytes) -> None:
        await self._send({"type": "http.response.body", "body": last, "more_body": False})
        raise _StreamOverError


async def _answer(status: int, send: Send) -> None:
    kind, body = _refused(status)
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
