"""Clicks on the buttons of the digest."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.forms import Delivered, choice_of
from bot.slack.listeners.base import Heard, Topic, delivered, whisper
from bot.slack.views.digest import PATTERN_ACTIONS
from feedback.domain.pattern import PatternStatus

TOLD = {
    PatternStatus.ACCEPTED: 'Accepted. Press "It is made" once the fix is in place.',
    PatternStatus.REJECTED: "Rejected: it stays so, however often it comes.",
    PatternStatus.RESOLVED: "Resolved. I tell you if it comes back.",
}


class PatternListeners(Topic):
    """How people say what should become of a pattern."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        names = tuple(PATTERN_ACTIONS.values())
        return Heard(
            actions=dict.fromkeys(names, self.decide), late=dict.fromkeys(names, self._late)
        )

    async def decide(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on one of the buttons."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            status = await self._parts.patterns.decide(choice_of(clicked))
            self._parts.effects_owed()
            await whisper(self._parts.api, clicked, TOLD[status])

    async def _late(self, stored: Delivered) -> None:
        await self._parts.patterns.decide(choice_of(stored))
