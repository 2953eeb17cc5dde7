"""The inbox gate: everything Slack sends is committed before it is acknowledged.

It runs as Bolt's `before_authorize`, after the signature check and before authorization, because
Bolt acknowledges a delivery whose authorization fails. Events end here with status 200 and are
worked on by the workers; interactions go on to their listener, which has some seconds before a
worker takes them over.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.in_flight import InFlight
from bot.slack.agent_events import session_stopped
from bot.slack.payloads import INTERACTIVE, Identity, is_own
from bot.slack.storing import to_delivery
from bot.slack.workspaces import installed_team
from feedback.clock import Clock
from feedback.domain.delivery import Delivery
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)
_NOBODY = Identity(team="", user_id="")
_PASS_THROUGH = frozenset(["url_verification", "ssl_check"])


class InboxGate:
    """Stores deliveries; raising means no acknowledgement, so Slack delivers again.

    Args:
        store: Where deliveries go.
        clock: Stamps interactions, which carry no time of their own.
        who: Returns who the bot is in a workspace, None where that is not known yet; what it did
            itself is dropped. Nothing else depends on the installation here: it is stored all
            the same.
        wake: Called after something new was stored.
        in_flight: Told what is being stored, so that a stop can wait for it.
        stopped: Called when somebody pressed Stop: no worker may be free to say it.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        who: Callable[[str], Identity | None],
        wake: Callable[[], None],
        in_flight: InFlight,
        *,
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._who = who
        self._wake = wake
        self._in_flight = in_flight
        self._stopped = stopped

    async def __call__(
        self,
        body: dict[str, Any],
        context: AsyncBoltContext,
        request: AsyncBoltRequest,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt injects by this name
    ) -> BoltResponse:
        """Bolt's entry."""
        kind = body.get("type")
        if kind in _PASS_THROUGH or "ssl_check" in body:
            return await next()
        team = installed_team(body)
        if is_own(body, self._who(team) or _NOBODY):
            return _acknowledged()
        delivery = replace(to_delivery(body, self._clock.now().timestamp()), team=team)
        _note_retry(request, delivery)
        stop = session_stopped(body)
        together = self._store.single if stop is None else self._store.begin
        with self._in_flight.working():
            async with together() as tx:
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
        context["installed_team"] = team
        context["delivery_id"] = row_id
        context["event_id"] = delivery.event_id
        context["received_ts"] = delivery.payload["received"]
        return await next()


def _note_retry(request: AsyncBoltRequest, delivery: Delivery) -> None:
    """A retry of something that was never stored means that Slack could not reach us before."""
    number = request.headers.get("x-slack-retry-num", [""])[0]
    if number:
        reason = request.headers.get("x-slack-retry-reason", ["unknown"])[0]
        _log.info("%s comes again (retry %s: %s)", delivery.event_id, number, reason)


def _acknowledged() -> BoltResponse:
    return BoltResponse(status=200, body="")
