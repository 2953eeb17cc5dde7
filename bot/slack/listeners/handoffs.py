"""Calling a person into a thread, taking it, settling it."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.forms import Delivered, answer_of, press_of
from bot.slack.listeners.base import Heard, Topic, delivered, whisper
from bot.slack.views.handoffs import CLOSE_ACTION, HANDOFF_ACTION, TAKE_ACTION

CALLED = "I have called a colleague."
CALLED_ALREADY = "A colleague is called already."


class HandoffListeners(Topic):
    """How a thread goes over to a person."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={
                HANDOFF_ACTION: self.call,
                TAKE_ACTION: self.take,
                CLOSE_ACTION: self.settle,
            },
            late={
                HANDOFF_ACTION: self._late_call,
                TAKE_ACTION: self._late_take,
                CLOSE_ACTION: self._late_close,
            },
        )

    async def call(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Talk to a person"."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            called = await self._parts.handoffs.call(
                clicked.team, clicked.user, answer_of(clicked), delivery_id=clicked.delivery_id
            )
            await whisper(self._parts.api, clicked, CALLED if called else CALLED_ALREADY)

    async def take(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "I take it"."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._parts.handoffs.take(press_of(clicked))
            self._parts.effects_owed()

    async def settle(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Settled"."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._parts.handoffs.close(press_of(clicked))
            self._parts.effects_owed()

    async def _late_call(self, stored: Delivered) -> None:
        await self._parts.handoffs.call(stored.team, stored.user, answer_of(stored))

    async def _late_take(self, stored: Delivered) -> None:
        await self._parts.handoffs.take(press_of(stored))

    async def _late_close(self, stored: Delivered) -> None:
        await self._parts.handoffs.close(press_of(stored))
