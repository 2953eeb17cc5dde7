"""The HTTP face of the Web API: arguments in, faults, one committed step, answer out."""

import asyncio
import json
import logging

from aiohttp import BasicAuth, web

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.faults import Fault
from bot.sandbox.jsontypes import Json
from bot.sandbox.web_api import (  # noqa: F401 - importing registers the methods
    assistant,
    chat,
    conversations,
    oauth,
    people,
    reactions,
    streams,
    views,
)
from bot.sandbox.web_api.call import METHODS, Args, Caller, caller_of

_WITHOUT_TOKEN = {"oauth.v2.access"}

logger = logging.getLogger(__name__)


class WebApi:
    """Serves `/api/<method>`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one call."""
        name = request.match_info["method"]
        try:
            values = await _values(request)
        except SlackError as exc:
            return _answer({"ok": False, "error": exc.code})
        channel = values.get("channel") or values.get("channel_id")
        fault = self._sandbox.faults.hit(name, channel if isinstance(channel, str) else None)
        if fault is not None:
            if fault.kind == "delay":
                await asyncio.sleep(fault.delay_s)
            elif fault.kind == "lost_answer":
                self._call(name, request, values)
                return _cut(request)
            else:
                return _faulty(request, fault)
        early_s = self._too_early(name, values)
        if early_s is not None:
            return _ratelimited(early_s)
        return _answer(self._call(name, request, values))

    def _too_early(self, name: str, values: Json) -> int | None:
        team = self._sandbox.state.workspace.team_id
        channel = values.get("channel") or values.get("channel_id") or ""
        return self._sandbox.tiers.take(team, name, str(channel))

    def _call(self, name: str, request: web.Request, values: Json) -> Json:
        handler = METHODS.get(name)
        try:
            if handler is None:
                raise SlackError("unknown_method", {"req_method": name})
            if name in _WITHOUT_TOKEN:
                caller = Caller(user="", kind="nobody")
                values = _client(request) | values
            else:
                caller = caller_of(self._sandbox, _token(request, values))
            if caller.kind == "app" and name not in {"apps.connections.open", "auth.test"}:
                raise SlackError("not_allowed_token_type")
            return {"ok": True, **handler(self._sandbox, caller, Args(values))}
        except SlackError as exc:
            return {"ok": False, "error": exc.code, **exc.details}
        except (AttributeError, KeyError, TypeError, ValueError):
            # A malformed structure deep inside blocks or chunks; Slack says no more than this.
            logger.exception("the arguments of %s could not be read", name)
            return {"ok": False, "error": "invalid_arguments"}
        finally:
            self._sandbox.commit()


async def _values(request: web.Request) -> Json:
    values: Json = dict(request.query)
    if not request.can_read_body:
        return values
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text())
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return values | body
    if request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return values | dict(await request.post())
    raise SlackError("invalid_post_type")


def _token(request: web.Request, values: Json) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    sent = values.get("token")
    return sent if isinstance(sent, str) else None


def _client(request: web.Request) -> Json:
    """Returns the client id and secret of an `Authorization: Basic` header."""
    try:
        login = BasicAuth.decode(request.headers.get("Authorization", ""))
    except ValueError:
        return {}
    return {"client_id": login.login, "client_secret": login.password}


def _answer(body: Json, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, headers=headers)


def _ratelimited(retry_after: int | str) -> web.Response:
    headers = {"Retry-After": str(retry_after)}
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)


def _faulty(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.kind == "ratelimited":
        return _ratelimited(1 if fault.retry_after is None else fault.retry_after)
    if fault.kind == "server_error":
        return web.Response(text="upstream connect error", status=fault.status)
    if fault.kind == "html":
        page = "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>"
        return web.Response(text=page, status=fault.status, content_type="text/html")
    if fault.kind == "broken_json":
        return web.Response(text='{"ok": tr', status=fault.status, content_type="application/json")
    if fault.kind == "cut":
        return _cut(request)
    after = None if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return _answer({"ok": False, "error": fault.code}, after)


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
