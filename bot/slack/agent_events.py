"""Events of Slack's agent pane: what somebody looks at, and the native Stop button. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.payloads import SESSION_STOPPED, entities_of, team_of

Json = Mapping[str, Any]

CONTEXT_CHANGED = "app_context_changed"


@dataclass(frozen=True, kw_only=True)
class SessionStopped:
    """Somebody pressed Stop while the bot was answering.

    Attributes:
        event_ts: When, by Slack's clock: what was asked before is not wanted any more.
        streams: Messages that Slack stopped already.
    """

    team: str
    channel: str
    thread_ts: str
    user: str
    event_ts: str
    streams: tuple[str, ...] = ()

    @property
    def thread_key(self) -> str:
        """Identity of the conversation."""
        return f"{self.team}:{self.channel}:{self.thread_ts}"


@dataclass(frozen=True, kw_only=True)
class ContextChanged:
    """Somebody looks at something else beside the conversation with the bot.

    Attributes:
        entities: `{type, value}` each, ids only, most relevant first.
        event_ts: When, in seconds since the epoch.
    """

    team: str
    user: str
    entities: tuple[Mapping[str, str], ...]
    event_ts: float


def session_stopped(body: Json) -> SessionStopped | None:
    """Returns the Stop that a delivery reports; None for anything else."""
    event = body.get("event")
    if not isinstance(event, Mapping) or event.get("type") != SESSION_STOPPED:
        return None
    root, channel = event.get("thread_ts"), event.get("channel")
    if not root or not channel:
        return None
    return SessionStopped(
        team=team_of(body),
        channel=str(channel),
        thread_ts=str(root),
        user=str(event.get("user") or ""),
        event_ts=str(event.get("event_ts") or body.get("event_time") or root),
        streams=tuple(str(ts) for ts in event.get("streaming_message_ts") or ()),
    )


def context_changed(body: Json) -> ContextChanged | None:
    """Returns what somebody looks at now; None when the delivery says nothing about it.

    An app home that is opened at its messages tab tells it too.
    """
    event = body.get("event")
    if not isinstance(event, Mapping) or not event.get("user"):
        return None
    kind = event.get("type")
    if kind != CONTEXT_CHANGED and not (kind == "app_home_opened" and "context" in event):
        return None
    return ContextChanged(
        team=team_of(body),
        user=str(event["user"]),
        entities=tuple(entities_of(event.get("context"))),
        event_ts=float(event.get("event_ts") or body.get("event_time") or 0.0),
    )
