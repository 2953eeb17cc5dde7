"""Signed HTTP delivery: events and interactions as POST requests to the app."""

import asyncio
import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.delivery import Ack, Attempt
from bot.sandbox.jsontypes import Json
from bot.sandbox.settings import SandboxSettings


def signature(secret: str, timestamp: str, body: str) -> str:
    """Returns `X-Slack-Signature`: HMAC-SHA256 over `v0:timestamp:body`."""
    base = f"v0:{timestamp}:{body}".encode()
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class HttpMode:
    """A `Transport` over HTTP; timestamps are real time: the receiver checks against its own."""

    def __init__(self, settings: SandboxSettings, signing_secret: str, events_url: str) -> None:
        self._settings = settings
        self._secret = signing_secret
        self._events_url = events_url
        self._session: aiohttp.ClientSession | None = None

    async def ready(self) -> None:
        """HTTP is always tried; a refused connection counts as a failed attempt."""

    async def close(self) -> None:
        """Releases the connections."""
        if self._session is not None:
            await self._session.close()

    async def verify_url(self) -> bool:
        """Sends the `url_verification` challenge; returns whether it came back."""
        challenge = "sandbox-challenge"
        answer = await self._post(
            self._events_url,
            json.dumps({"type": "url_verification", "challenge": challenge, "token": "sandbox"}),
            "application/json",
            {},
        )
        return isinstance(answer, Ack) and (answer.payload or {}).get("challenge") == challenge

    async def send_event(self, body: Json, attempt: Attempt, *, cut: bool = False) -> Ack | str:
        """Posts an event once; only status 200 acknowledges."""
        headers = {}
        if attempt.number:
            headers = {
                "X-Slack-Retry-Num": str(attempt.number),
                "X-Slack-Retry-Reason": attempt.reason,
            }
        answer = await self._post(self._events_url, json.dumps(body), "application/json", headers)
        return "connection_failed" if cut else answer

    async def send_interaction(self, kind: str, payload: Json, *, cut: bool = False) -> Ack | str:
        """Posts an interaction once, form-encoded as Slack does."""
        fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
        url = self._settings.interactivity_url or self._events_url
        answer = await self._post(url, urlencode(fields), "application/x-www-form-urlencoded", {})
        if cut:
            return "connection_failed"
        if kind == "slash_commands" and isinstance(answer, Ack) and answer.payload is None:
            return Ack(payload={"text": answer.text}) if answer.text else answer
        return answer

    async def _post(
        self, url: str, body: str, content_type: str, headers: dict[str, str]
    ) -> Ack | str:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timestamp = str(int(time.time()))
        signed = {
            **headers,
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self._secret, timestamp, body),
        }
        try:
            async with asyncio.timeout(self._settings.ack_timeout_s):
                async with self._session.post(url, data=body.encode(), headers=signed) as answer:
                    text = await answer.text()
        except TimeoutError:
            return "http_timeout"
        except aiohttp.ClientError:
            return "connection_failed"
        if answer.status != 200:
            return "http_error"
        return Ack(payload=_object(text), text=text)


def _object(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
