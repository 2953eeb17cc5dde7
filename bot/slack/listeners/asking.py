"""The message shortcut "Ask Understudy"."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.listeners.base import Heard, Topic
from bot.slack.payloads import ASK_SHORTCUT


class AskingListeners(Topic):
    """Questions by shortcut: a worker answers them from the inbox, like any other question."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(shortcuts={ASK_SHORTCUT: self.ask})

    async def ask(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """Somebody picked "Ask Understudy" on a message."""
        await ack()
