"""Deliveries over signed HTTP, and the installation pages, under uvicorn."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp

from feedback.errors import ConfigurationError, RetryableError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
LARGEST_BODY = 1_000_000
"""Bytes of a request; Slack's largest payloads are some hundred thousand."""

_GOODBYE_S = 5

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class HttpDoor:
    """The ASGI app: `/slack/events`, `/slack/install`, `/slack/oauth_redirect`, `/healthz`.

    Bolt checks signature and age (five minutes) of what comes to `/slack/events` before anything
    else reads it.

    Args:
        app: The Bolt app.
        store: Asked by `/healthz`: without a database nothing can be acknowledged.
        events: Whether deliveries come in here; otherwise only the installation pages are served.
    """

    def __init__(self, app: AsyncApp, store: Store, *, events: bool) -> None:
        self._slack = AsyncSlackRequestHandler(app, path=EVENTS_PATH)
        self._store = store
        self._events = events

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz" and scope["method"] in {"GET", "HEAD"}:
            await self._health(send)
        elif scope["path"] == EVENTS_PATH and not self._events:
            await _answer(send, 404, b"deliveries come in by Socket Mode")
        else:
            await self._hand_over(scope, receive, send)

    async def _hand_over(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await _answer(send, 413, b"too large")
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(parts, {"type": "http.disconnect"})

        await self._slack(dict(scope), replay, send)

    async def _health(self, send: Send) -> None:
        try:
            async with self._store.begin() as tx:
                await tx.inbox.open_count()
        except RetryableError as exc:
            _log.warning("not healthy: %s", exc)
            await _answer(send, 503, b"the database is not there")
            return
        await _answer(send, 200, b"ok")


@asynccontextmanager
async def serving(door: HttpDoor, *, host: str, port: int) -> AsyncIterator[int]:
    """Serves until the block ends, and finishes what is being answered; yields the port.

    Raises:
        ConfigurationError: When the address cannot be used.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise ConfigurationError(
            f"{host}:{port} cannot be used ({exc.strerror}); choose another "
            "UNDERSTUDY_SLACK__HTTP_HOST or UNDERSTUDY_SLACK__HTTP_PORT"
        ) from exc
    server = _Server(
        uvicorn.Config(
            door,
            log_level="warning",
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GOODBYE_S,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        listener.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the process that it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _read(receive: Receive) -> bytes | None:
    """Returns the whole body, None when it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def _answer(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
