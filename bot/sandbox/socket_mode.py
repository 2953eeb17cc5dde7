"""Socket Mode: envelopes over real WebSockets, each to just one of the app's connections."""

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import secrets
from collections.abc import Callable
from typing import cast

from aiohttp import WSMsgType, web

from bot.sandbox.delivery import Ack, Attempt, new_envelope_id
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.settings import SandboxSettings


class Connection:
    """One open WebSocket of the app."""

    def __init__(self, socket: web.WebSocketResponse, line: asyncio.Transport | None) -> None:
        self.socket = socket
        self.line = line
        self.waiting: dict[str, asyncio.Future[Ack | str]] = {}

    async def request(self, envelope: Json, timeout_s: float, *, cut: bool) -> Ack | str:
        """Sends an envelope and waits for its ack, or breaks the line behind it."""
        envelope_id = envelope["envelope_id"]
        answered: asyncio.Future[Ack | str] = asyncio.get_running_loop().create_future()
        self.waiting[envelope_id] = answered
        try:
            async with asyncio.timeout(timeout_s):
                await self.socket.send_str(json.dumps(envelope))
                if cut and self.line is not None:
                    self.line.close()  # what was sent arrives; what comes back does not
                    return "connection_failed"
                return await answered
        except TimeoutError:
            return "timeout"
        except (ConnectionError, RuntimeError):
            return "connection_failed"
        finally:
            self.waiting.pop(envelope_id, None)

    async def say(self, message: Json) -> None:
        """Sends a message that has no ack; a line that is gone does not matter."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.socket.send_str(json.dumps(message))

    def receive(self, text: str) -> None:
        """Takes an ack; anything else is ignored as Slack does."""
        try:
            message = json.loads(text)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        answered = self.waiting.get(str(message.get("envelope_id")))
        if answered is not None and not answered.done():
            payload = message.get("payload")
            answered.set_result(Ack(payload=payload if isinstance(payload, dict) else None))

    def lost(self) -> None:
        """Fails every delivery that still waits on this connection."""
        for answered in self.waiting.values():
            if not answered.done():
                answered.set_result("connection_failed")


class SocketMode:
    """The app's connections, as a `Transport`."""

    def __init__(self, settings: SandboxSettings, app_id: str, secret: str) -> None:
        self._settings = settings
        self._app_id = app_id
        self._secret = secret
        self._used_tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._turn = itertools.count()
        self._open = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections, the oldest first."""
        return tuple(self._connections)

    @property
    def count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def ticket(self) -> str:
        """Returns a single-use ticket for one connection.

        It is signed rather than remembered: a client that got it just before a restart connects
        with it just after, and slack_sdk would retry a refused URL for ever.
        """
        nonce = secrets.token_hex(12)
        return f"{nonce}.{self._sign(nonce)}"

    def _sign(self, nonce: str) -> str:
        return hmac.new(self._secret.encode(), nonce.encode(), hashlib.sha256).hexdigest()[:24]

    def _admits(self, ticket: str) -> bool:
        nonce, _, signed = ticket.partition(".")
        if ticket in self._used_tickets or not hmac.compare_digest(signed, self._sign(nonce)):
            return False
        self._used_tickets.add(ticket)
        return True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serves one connection until it closes."""
        ticket = request.query.get("ticket", "")
        if not self._admits(ticket):
            return web.json_response({"ok": False, "error": "invalid_ticket"}, status=403)
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        if self.count >= self._settings.max_connections:
            await socket.send_str(json.dumps(_disconnect("too_many_websockets")))
            await socket.close()
            return socket
        connection = Connection(socket, request.transport)
        self._connections.append(connection)
        self.changed()
        try:
            await socket.send_str(json.dumps(self._hello()))
            self._open.set()
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    connection.receive(cast("str", message.data))
        finally:
            self._drop(connection)
        return socket

    async def disconnect(
        self, reason: str, *, abrupt: bool = False, most: int | None = None, grace_s: float = 0.0
    ) -> int:
        """Closes connections, the oldest first, and returns how many.

        Args:
            reason: Slack's word: `warning`, `refresh_requested`, `too_many_websockets`.
            abrupt: Cut the line without a `disconnect` message or a closing handshake.
            most: At most so many; None closes all.
            grace_s: Announce it and close this much later; they carry deliveries until then.
        """
        connections = self._connections[:most]
        for connection in connections:
            if abrupt:
                self._drop(connection)
                if connection.line is not None:
                    connection.line.abort()
            elif grace_s > 0:
                await connection.say(_disconnect(reason))
                self._close_later(connection, grace_s)
            else:
                self._drop(connection)
                await connection.say(_disconnect(reason))
                await self._close(connection)
        return len(connections)

    async def _close(self, connection: Connection) -> None:
        self._drop(connection)
        with contextlib.suppress(ConnectionError, RuntimeError):  # it may have gone by itself
            await connection.socket.close()

    def _close_later(self, connection: Connection, delay_s: float) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            await self._close(connection)

        task = asyncio.create_task(wait())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        """Closes every connection now, announced ones too."""
        for task in self._closing:
            task.cancel()
        await self.disconnect("refresh_requested")

    async def ready(self) -> None:
        """Returns once a connection is open."""
        await self._open.wait()

    async def send_event(self, body: Json, attempt: Attempt, *, cut: bool = False) -> Ack | str:
        """Delivers an event once on one connection."""
        return await self._send(
            {
                "envelope_id": new_envelope_id(),
                "payload": body,
                "type": "events_api",
                "accepts_response_payload": False,
                "retry_attempt": attempt.number,
                "retry_reason": attempt.reason,
            },
            cut=cut,
        )

    async def send_interaction(self, kind: str, payload: Json, *, cut: bool = False) -> Ack | str:
        """Delivers an interaction once on one connection."""
        return await self._send(
            {
                "envelope_id": new_envelope_id(),
                "payload": payload,
                "type": kind,
                "accepts_response_payload": True,
            },
            cut=cut,
        )

    async def _send(self, envelope: Json, *, cut: bool) -> Ack | str:
        if not self._connections:
            return "no_connection"
        connection = self._connections[next(self._turn) % len(self._connections)]
        answer = await connection.request(envelope, self._settings.ack_timeout_s, cut=cut)
        if cut:
            self._drop(connection)
        return answer

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self.changed()
        if not self._connections:
            self._open.clear()
        connection.lost()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.count,
            "debug_info": {
                "host": "sandbox",
                "build_number": 1,
                "approximate_connection_time": 18060,
            },
            "connection_info": {"app_id": self._app_id},
        }


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}


def require_app_token(token: str, expected: str) -> None:
    """Refuses a token that cannot open Socket Mode connections.

    Raises:
        SlackError: `not_allowed_token_type` for a bot or user token, else `invalid_auth`.
    """
    if token == expected:
        return
    raise SlackError(
        "not_allowed_token_type" if token[:5] in {"xoxb-", "xoxp-"} else "invalid_auth"
    )
