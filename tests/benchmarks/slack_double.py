"""The least of a Slack: envelopes out, acknowledgements and posts in, every moment noted.

The sandbox validates, stores and journals, which takes as long as the bot itself; a measurement of
the bot needs a counterpart that takes next to nothing. It speaks real Socket Mode and HTTP.
"""

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.served import served

TEAM, BOT = "T0BENCHED", "U0BENCHBOT"
TOKEN, APP_TOKEN = "xoxb-benchmark", "xapp-benchmark"
_ACK_LIMIT_S = 30.0


@dataclass(kw_only=True)
class SlackDouble:
    """Delivers events to whoever is connected and notes what comes back.

    Attributes:
        acks_ms: Milliseconds from sending an envelope to its acknowledgement.
        calls: Web API calls by method.
    """

    url: str = ""
    acks_ms: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    _answers: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)
    _last_us: int = 0

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._sockets)

    async def ask(self, number: int, text: str) -> float:
        """Mentions the bot in a channel of its own; returns seconds until the answer arrived.

        Like Slack it delivers a mention twice: as `message` and as `app_mention`.
        """
        ts, channel = self._next_ts(), f"C{number:09d}"
        answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._answers[ts] = answered
        event = {
            "type": "message",
            "user": f"U{number % 200:09d}",
            "text": f"<@{BOT}> {text}",
            "ts": ts,
            "channel": channel,
            "event_ts": ts,
            "channel_type": "channel",
        }
        started = time.perf_counter()
        await asyncio.gather(self._deliver(event), self._deliver({**event, "type": "app_mention"}))
        return (await answered) - started

    async def _deliver(self, event: dict[str, Any]) -> None:
        envelope_id = secrets.token_hex(16)
        envelope = {
            "envelope_id": envelope_id,
            "type": "events_api",
            "accepts_response_payload": False,
            "payload": {
                "type": "event_callback",
                "team_id": TEAM,
                "api_app_id": "A0BENCHED",
                "event": event,
                "event_id": f"Ev{secrets.token_hex(6)}",
                "event_time": int(time.time()),
                "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True}],
            },
        }
        self._waiting[envelope_id] = acked = asyncio.get_running_loop().create_future()
        socket = self._sockets[next(self._turn) % len(self._sockets)]
        started = time.perf_counter()
        await socket.send_str(json.dumps(envelope))
        async with asyncio.timeout(_ACK_LIMIT_S):
            self.acks_ms.append((await acked - started) * 1000)

    def _next_ts(self) -> str:
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    async def _link(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        self._sockets.append(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    acked = self._waiting.pop(json.loads(message.data)["envelope_id"], None)
                    if acked is not None:
                        acked.set_result(time.perf_counter())
        finally:
            self._sockets.remove(socket)
        return socket

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls[method] = self.calls.get(method, 0) + 1
        given = await request.json() if request.content_type == "application/json" else {}
        given = given or dict(await request.post())
        if method == "chat.postMessage":
            answered = self._answers.pop(str(given.get("thread_ts")), None)
            if answered is not None:
                answered.set_result(time.perf_counter())
        return web.json_response({"ok": True, **self._result(method, given)})

    def _result(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "auth.test":
                return {"team_id": TEAM, "user_id": BOT, "bot_id": "B0BENCHED", "team": "Bench"}
            case "apps.connections.open":
                return {"url": self.url.replace("http", "ws", 1) + "/link"}
            case "chat.postMessage":
                return {"ts": self._next_ts(), "channel": given.get("channel")}
            case "users.list":
                return {"members": [_member(number) for number in range(200)]}
            case "usergroups.list":
                return {"usergroups": []}
            case _:
                return {"messages": [], "ts": self._next_ts()}


@asynccontextmanager
async def slack_double() -> AsyncIterator[SlackDouble]:
    """Serves a Slack double on a free port of 127.0.0.1."""
    double = SlackDouble()
    app = web.Application(client_max_size=4 * 1024**2)
    app.add_routes([web.get("/link", double._link), web.route("*", "/api/{method}", double._call)])
    async with served(app) as url:
        double.url = url
        yield double


def _member(number: int) -> dict[str, Any]:
    profile = {"real_name": f"Person Number{number}", "display_name": f"person{number}"}
    return {"id": f"U{number:09d}", "name": f"person{number}", "profile": profile, **profile}
