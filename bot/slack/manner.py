"""How answers appear in one channel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bot.slack.payloads import Question


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How answers appear.

    Attributes:
        streaming: People watch the answer being written.
        feedback: The answer carries the thumbs.
        handoff: Id of the user group to call when the bot does not know.
    """

    streaming: bool = False
    feedback: bool = True
    handoff: str | None = None


class Manners(Protocol):
    """Knows how answers appear where."""

    async def of(self, question: Question) -> Manner:
        """Returns how the answer to a question appears."""
        ...


class ChannelManners:
    """Implements Manners with the settings of the whole installation.

    Args:
        stream_channels: Stream outside direct messages too: there only the asker sees live text.
        handoff: Returns the id of the user group to call when the bot does not know.
    """

    def __init__(self, *, stream_channels: bool, handoff: Callable[[], str | None]) -> None:
        self._stream_channels = stream_channels
        self._handoff = handoff

    async def of(self, question: Question) -> Manner:
        """Returns how the answer to a question appears."""
        return Manner(streaming=question.direct or self._stream_channels, handoff=self._handoff())
