"""The inbox gate: everything Slack sends is committed before it is acknowledged.

It runs as Bolt's `before_authorize`, after the signature check and before authorization, because
Bolt acknowledges a delivery whose authorization fails. Events end here with status 200 and are
worked on by the workers; interactions go on to their listener, which has some seconds before a
worker takes them over.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.in_flight import InFlight
from bot.slack.agent_events import session_stopped
from bot.slack.payloads import INTERACTIVE, Identity, is_own
from bot.slack.storing import to_delivery
from feedback.clock import Clock
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)
_PASS_THROUGH = frozenset(["url_verification", "ssl_check"])


class InboxGate:
    """Stores deliveries; raising means no acknowledgement, so Slack delivers again.

    Args:
        store: Where deliveries go.
        clock: Stamps interactions, which carry no time of their own.
        bot: Who the bot is; what it did itself is dropped.
        wake: Called after something new was stored.
        in_flight: Told what is being stored, so that a stop can wait for it.
        stopped: Called when somebody pressed Stop: no worker may be free to say it.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        bot: Identity,
        wake: Callable[[], None],
        in_flight: InFlight,
        *,
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._bot = bot
        self._wake = wake
        self._in_flight = in_flight
        self._stopped = stopped

    async def __call__(
        self,
        body: dict[str, Any],
        context: AsyncBoltContext,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt injects by this name
    ) -> BoltResponse:
        """Bolt's entry."""
        kind = body.get("type")
        if kind in _PASS_THROUGH or "ssl_check" in body:
            return await next()
        if is_own(body, self._bot):
            return _acknowledged()
        delivery = to_delivery(body, self._clock.now().timestamp())
        stop = session_stopped(body)
        with self._in_flight.working():
            async with self._store.begin() as tx:
                row_id = await tx.inbox.add(delivery)
                if stop is not None:
                    await tx.turns.stop(stop.thread_key, stop.event_ts)
        if stop is not None:
            self._stopped()
        if not delivery.parsed:
            _log.error("stored a delivery that cannot be read as inbox row %s", row_id)
        if row_id is not None and not delivery.defer_s:
            self._wake()
        if kind not in INTERACTIVE and "command" not in body:
            return _acknowledged()
        context["delivery_id"] = row_id
        context["event_id"] = delivery.event_id
        context["received_ts"] = delivery.payload["received"]
        return await next()


def _acknowledged() -> BoltResponse:
    return BoltResponse(status=200, body="")
