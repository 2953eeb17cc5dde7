"""Socket Mode: several connections, so that one may be renewed while the others listen."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient

from bot.slack.errors import slack_errors

_log = logging.getLogger(__name__)

MOST_CONNECTIONS = 10
"""Connections that Slack permits an app, of all its processes together."""


@asynccontextmanager
async def connected(app: AsyncApp, app_token: str, *, connections: int) -> AsyncIterator[None]:
    """Listens until the block ends; every connection is closed then, whatever happens.

    Raises:
        TokenRefusedError: When Slack refuses the app-level token.
        SlackRefusedError: When Slack opens no connection for another reason that stays.
        RetryableError: When Slack cannot be reached.
    """
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            handler = AsyncSocketModeHandler(app, app_token)
            handler.client.message_listeners.append(watch)
            stack.push_async_callback(handler.close_async)
            with slack_errors("apps.connections.open"):
                # Left to itself, the client would ask again and again, whatever Slack says.
                handler.client.wss_uri = await handler.client.issue_new_wss_url()
                await handler.connect_async()  # type: ignore[no-untyped-call]
        yield


async def watch(_: AsyncBaseSocketModeClient, message: dict[str, Any], __: str | None) -> None:
    """Tells operators what Slack says about the connections.

    A connection that nobody reads any more still receives its share of the clicks, which Slack
    never repeats: too many connections are an alarm.
    """
    if message.get("type") == "hello":
        open_now = int(message.get("num_connections") or 0)
        _log.info("connected to Slack, one of %s connections", open_now)
        if open_now >= MOST_CONNECTIONS:
            _log.error("%s of %s connections are open", open_now, MOST_CONNECTIONS)
    elif message.get("type") == "disconnect":
        reason = message.get("reason")
        if reason == "too_many_websockets":
            _log.critical(
                "Slack closes a connection because the app has too many: lower "
                "UNDERSTUDY_SLACK__SOCKET_CONNECTIONS or the number of bot processes"
            )
        elif reason == "link_disabled":
            _log.critical("Socket Mode was switched off in the app's settings")
        else:
            _log.info("Slack renews a connection: %s", reason)
