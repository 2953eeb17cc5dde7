"""`/understudy` and the buttons of its confirmations."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.listeners.base import Heard, Topic, delivered
from bot.slack.orders import CANCEL_ACTION, COMMAND, CONFIRM_ACTION


class OperatorListeners(Topic):
    """How operators steer, and how people have their data forgotten."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        names = (COMMAND, CONFIRM_ACTION, CANCEL_ACTION)
        return Heard(
            commands={COMMAND: self.command},
            actions={CONFIRM_ACTION: self.answer, CANCEL_ACTION: self.answer},
            late=dict.fromkeys(names, self._parts.operators.late),
            abandoned=dict.fromkeys(names, self._parts.operators.give_up),
        )

    async def command(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A slash command; its answer comes afterwards, however long it takes."""
        await ack()
        await self._parts.operators.command(delivered(body, context))

    async def answer(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on a confirmation's button."""
        await ack()
        await self._parts.operators.answer(delivered(body, context))
