"""How the bot behaves in one channel, known by its id."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Streaming(StrEnum):
    """Whether people watch answers being written; DEFAULT is what the installation says."""

    DEFAULT = "default"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """Settings of one channel; a channel without a row has the defaults.

    Attributes:
        answering: False keeps the bot silent there.
        buttons: False leaves the thumbs off the answers; reactions still count.
        on_call: Id of the user group or the person to call for help; empty: the installation's.
        review_channel: Channel id for the review cards of this channel; empty: the workspace's.
    """

    answering: bool = True
    buttons: bool = True
    streaming: Streaming = Streaming.DEFAULT
    on_call: str = ""
    review_channel: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns what is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "ChannelSettings":
        """Reads what `to_json` wrote; a setting that is missing has its default."""
        values = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        if "streaming" in values:
            values["streaming"] = Streaming(values["streaming"])
        return cls(**values)
