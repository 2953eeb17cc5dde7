"""What a person sees and what came of what they did."""

from dataclasses import dataclass

from bot.sandbox.jsontypes import Json


@dataclass(frozen=True, kw_only=True)
class SandboxMessage:
    """A message as a person sees it.

    Attributes:
        thread_ts: Root of its thread, None outside threads.
        streaming: Still growing.
        raw: The whole message in Slack's shape.
    """

    channel: str
    ts: str
    thread_ts: str | None
    user: str
    text: str
    is_app: bool
    streaming: bool
    raw: Json

    @property
    def blocks(self) -> list[Json]:
        """Its Block Kit blocks."""
        blocks: list[Json] = self.raw.get("blocks", [])
        return blocks

    @property
    def metadata(self) -> Json | None:
        """Message metadata, if the app set any."""
        return self.raw.get("metadata")

    @classmethod
    def read(cls, channel: str, raw: Json) -> "SandboxMessage":
        """Reads Slack's shape."""
        return cls(
            channel=channel,
            ts=raw["ts"],
            thread_ts=raw.get("thread_ts"),
            user=raw.get("user", ""),
            text=raw.get("text", ""),
            is_app="bot_id" in raw,
            streaming=raw.get("streaming_state") == "in_progress",
            raw=raw,
        )


@dataclass(frozen=True, kw_only=True)
class Acted:
    """What came of a click, shortcut or command.

    Attributes:
        acked: Whether the app acknowledged in time.
        reason: Why not.
        opened: Whether a view was opened within the time asked for.
        view: The modal on top for that person now.
        response: What the app put into the ack of a slash command.
    """

    acked: bool
    reason: str = ""
    opened: bool = False
    view: Json | None = None
    response: Json | None = None

    @classmethod
    def read(cls, answer: Json) -> "Acted":
        """Reads the sandbox's answer."""
        return cls(
            acked=answer["acked"],
            reason=answer["reason"],
            opened=answer["opened"],
            view=answer["view"],
            response=answer.get("response"),
        )


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What came of submitting a modal.

    Attributes:
        outcome: `closed`, `errors`, `updated`, `pushed`, `cleared` or `failed`.
        errors: Messages by block_id.
        view: The modal on top now, if any.
        reason: Why it failed.
    """

    outcome: str
    errors: dict[str, str]
    view: Json | None
    reason: str = ""
