"""One HTTP session to the JSON API of a sandbox."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from bot.sandbox.jsontypes import Json
from feedback.errors import InvalidInputError, UnavailableError


class SandboxCalls:
    """Makes calls; use it as `async with`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100),
            timeout=aiohttp.ClientTimeout(total=120),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def _call(self, verb: str, path: str, values: Mapping[str, Any]) -> Json:
        """Calls a route; what is None is left out."""
        sent = {key: value for key, value in values.items() if value is not None}
        return await self._send(verb, path, sent)

    async def _send(self, verb: str, path: str, sent: Mapping[str, Any]) -> Json:
        if self._session is None:
            raise InvalidInputError("use the client as `async with SandboxClient(url) as people`")
        url = f"{self._url}/sandbox/{path}"
        arguments: Json = {"params": sent} if verb == "GET" else {"json": sent}
        try:
            async with self._session.request(verb, url, **arguments) as answer:
                body: Json = await answer.json()
        except (aiohttp.ClientError, ValueError) as exc:
            raise UnavailableError(f"the sandbox at {self._url} did not answer: {exc}") from exc
        if not body.get("ok"):
            raise InvalidInputError(f"the sandbox refused {verb} {path}: {body}")
        return body
