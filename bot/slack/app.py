"""Builds the Bolt app: the inbox gate in front, thin listeners behind."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.in_flight import InFlight
from bot.slack.forms import subject_of
from bot.slack.inbox_gate import InboxGate
from bot.slack.listeners.base import Heard, Listener, delivered
from feedback.store.unit_of_work import Store

_ANYTHING = re.compile(".*", re.DOTALL)


class Reception:
    """Leads whatever comes in to its listener.

    Args:
        store: Deliveries without a listener are closed there.
        heard: What is listened to.
        in_flight: Told what is being handled, so that a stop can wait for it.
    """

    def __init__(self, store: Store, heard: Heard, in_flight: InFlight) -> None:
        self._store = store
        self._heard = heard
        self._in_flight = in_flight

    def among(self, kind: Callable[[Heard], Mapping[str, Listener]]) -> Listener:
        """Returns a listener for anything of one kind."""

        async def receive(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
            with self._in_flight.working():
                subject = subject_of(delivered(body, context))
                listener = kind(self._heard).get(subject, self.ignore)
                await listener(ack, body, context)

        return receive

    async def ignore(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """Anything that needs no effect: links, closed views, unknown shortcuts."""
        await ack()
        handled = delivered(body, context)
        if handled.delivery_id is not None:
            async with self._store.begin() as tx:
                await tx.inbox.finish(handled.delivery_id)


def build_app(
    client: AsyncWebClient,
    gate: InboxGate,
    reception: Reception,
    *,
    signing_secret: str | None = None,
) -> AsyncApp:
    """Returns the app, ready for Socket Mode or an HTTP adapter.

    Events never get past the gate; everything interactive finds a listener, so that Slack is
    never told "not found".
    """
    app = AsyncApp(
        client=client,
        signing_secret=signing_secret,
        before_authorize=gate.__call__,
        request_verification_enabled=signing_secret is not None,
        logger=logging.getLogger("bot.slack.bolt"),
    )
    app.action(_ANYTHING)(reception.among(lambda heard: heard.actions))
    app.view_submission(_ANYTHING)(reception.among(lambda heard: heard.views))
    app.view_closed(_ANYTHING)(reception.among(lambda _: {}))
    app.shortcut(_ANYTHING)(reception.among(lambda heard: heard.shortcuts))
    app.command(_ANYTHING)(reception.among(lambda heard: heard.commands))
    return app
