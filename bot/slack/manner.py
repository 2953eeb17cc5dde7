"""How answers appear in one channel."""

from dataclasses import dataclass

from bot.answering import Prepared
from bot.slack.payloads import Question
from feedback.domain.channel import Streaming


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How answers appear.

    Attributes:
        streaming: People watch the answer being written.
        feedback: The answer carries the thumbs.
        nearby: Channel to point to when the bot does not know, because colleagues are there.
    """

    streaming: bool = False
    feedback: bool = True
    nearby: str | None = None


class ChannelManners:
    """Knows how answers appear: as the channel says, or else the installation.

    Args:
        stream_channels: Stream outside direct messages too: there only the asker sees live text.
    """

    def __init__(self, *, stream_channels: bool) -> None:
        self._stream_channels = stream_channels

    def of(self, question: Question, prepared: Prepared) -> Manner:
        """Returns how the answer to a question appears."""
        settings = prepared.settings
        streaming = question.direct or self._stream_channels
        if settings.streaming is not Streaming.DEFAULT:
            streaming = settings.streaming is Streaming.ON
        return Manner(streaming=streaming, feedback=settings.buttons, nearby=prepared.nearby)
