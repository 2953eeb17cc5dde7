"""Reads what Slack delivered. Pure."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from feedback.domain.interaction import Rating

Json = Mapping[str, Any]

INTERACTIVE = frozenset(
    ["block_actions", "view_submission", "view_closed", "message_action", "shortcut"]
)
QUESTION_SUBTYPES = frozenset([None, "file_share", "thread_broadcast"])
"""Subtypes of first-time messages that a person may ask with."""

SESSION_STOPPED = "agent_session_stopped"
ASK_SHORTCUT = "ask_understudy"
"""Callback of the message shortcut "Ask Understudy"."""

_SPECIAL = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")
_SPACE = re.compile(r"[ \t]+")
_ID = re.compile(r"[A-Z][A-Z0-9]{2,30}")
_SKIN_TONE = re.compile(r"::skin-tone-\d$")
_THUMBS = {
    "+1": Rating.UP,
    "thumbsup": Rating.UP,
    "-1": Rating.DOWN,
    "thumbsdown": Rating.DOWN,
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the bot is in a workspace."""

    team: str
    user_id: str
    bot_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A message of a person.

    Attributes:
        thread_ts: Root of its thread; its own ts when it starts one.
        text: As Slack wrote it.
        direct: In a direct message with the bot.
        mentioned: It names the bot.
        names_others: It names somebody else and not the bot.
        asked_by: Who asks with somebody else's message, by the shortcut on it.
        edited_ts: When it was last edited; None when it never was.
        looking_at: Channels that the asker had in sight, most relevant first.
    """

    team: str
    channel: str
    ts: str
    thread_ts: str
    user: str
    text: str
    direct: bool
    mentioned: bool
    names_others: bool
    asked_by: str | None = None
    edited_ts: str | None = None
    looking_at: tuple[str, ...] = ()

    @property
    def by(self) -> str:
        """Who wants the answer."""
        return self.asked_by or self.user

    @property
    def thread_key(self) -> str:
        """Identity of the conversation."""
        return f"{self.team}:{self.channel}:{self.thread_ts}"

    @property
    def asked_at(self) -> datetime:
        """When it was asked, by Slack's clock."""
        return moment_of(self.ts)


@dataclass(frozen=True, kw_only=True)
class EditedMessage:
    """A message whose text changed.

    Attributes:
        question: What it asks now; None when no person wrote it.
        edited_ts: When it was edited, by Slack's clock.
        newly_mentioned: It names the bot now and did not before.
    """

    team: str
    channel: str
    ts: str
    text: str
    edited_ts: str
    question: Question | None = None
    newly_mentioned: bool = False


@dataclass(frozen=True, kw_only=True)
class DeletedMessage:
    """A message that is gone."""

    team: str
    channel: str
    ts: str


@dataclass(frozen=True, kw_only=True)
class Thumb:
    """A thumb reaction that came or went.

    Attributes:
        author: Who wrote the message it is on.
    """

    team: str
    channel: str
    ts: str
    user: str
    author: str
    rating: Rating
    added: bool
    event_ts: float


@dataclass(frozen=True, kw_only=True)
class HomeOpened:
    """A person looks at the App Home, or at the conversation with the bot (tab `messages`).

    Attributes:
        view_hash: Of the App Home that they see; None when none was ever published.
    """

    team: str
    user: str
    tab: str
    channel: str = ""
    view_hash: str | None = None


Event = Question | EditedMessage | DeletedMessage | Thumb | HomeOpened


def moment_of(ts: str) -> datetime:
    """Returns a Slack timestamp as an aware datetime."""
    return datetime.fromtimestamp(float(ts), UTC)


def team_of(body: Json) -> str:
    """Returns the workspace a delivery belongs to, empty when it does not say."""
    team = body.get("team_id")
    if not team:
        nested = body.get("team") or body.get("user") or {}
        team = nested.get("id" if "team" in body else "team_id") if isinstance(nested, dict) else ""
    return str(team or "")


def is_own(body: Json, bot: Identity) -> bool:
    """Whether an event only reports what the bot itself did."""
    event = body.get("event")
    if not isinstance(event, dict):
        return False
    authorizations = body.get("authorizations") or [{}]
    ours = {bot.user_id, str(authorizations[0].get("user_id") or bot.user_id)}
    inner = event.get("message") or event.get("previous_message") or event
    if inner.get("bot_id") and inner["bot_id"] == bot.bot_id:
        return True
    return inner.get("user", event.get("user")) in ours


def parse(payload: Json) -> Event | None:
    """Returns what a stored event means, None when it concerns nobody here."""
    body = payload["body"]
    event = body["event"]
    team = team_of(body)
    kind = event["type"]
    if kind in {"message", "app_mention"}:
        return _message(event, team, body)
    if kind in {"reaction_added", "reaction_removed"}:
        return _thumb(event, team)
    if kind == "app_home_opened":
        return HomeOpened(
            team=team,
            user=event["user"],
            tab=event.get("tab", "home"),
            channel=str(event.get("channel") or ""),
            view_hash=(event.get("view") or {}).get("hash"),
        )
    return None


def plain_text(text: str, *, bot: str) -> str:
    """Returns Slack's mark-up as plain text: the bot's mention dropped, links and entities open.

    Mentions of other people stay as they are, for the redactor to replace.
    """

    def show(match: re.Match[str]) -> str:
        sign, target, label = match.groups()
        if sign == "@":
            return "" if target == bot else f"<@{target}>"
        if sign == "#":
            return f"#{label or target}"
        if sign == "!":
            return f"@{label or target.partition('^')[0]}"
        address = target.removeprefix("mailto:").removeprefix("tel:")
        return address if label in {None, "", address, target} else f"{label} ({address})"

    shown = html.unescape(_SPECIAL.sub(show, text))
    lines = (_SPACE.sub(" ", line).strip() for line in shown.splitlines())
    return "\n".join(lines).strip()


def _message(event: Json, team: str, body: Json) -> Event | None:
    channel = str(event["channel"])
    subtype = event.get("subtype")
    if subtype == "message_deleted":
        return DeletedMessage(team=team, channel=channel, ts=str(event["deleted_ts"]))
    if subtype == "message_changed":
        message, previous = event["message"], event.get("previous_message") or {}
        ts = str(message["ts"])
        if message.get("subtype") == "tombstone":
            return DeletedMessage(team=team, channel=channel, ts=ts)
        if message.get("text", "") == previous.get("text"):
            return None  # an unfurled link or a new reaction, not an edit
        bot = _bot_of(body)
        return EditedMessage(
            team=team,
            channel=channel,
            ts=ts,
            text=message.get("text", ""),
            edited_ts=str((message.get("edited") or {}).get("ts") or event.get("event_ts") or ts),
            question=_question(message, team, channel, bot) if _by_person(message) else None,
            newly_mentioned=bot in _mentions(message) and bot not in _mentions(previous),
        )
    if not _by_person(event):
        return None
    asked = _question(event, team, channel, _bot_of(body))
    return replace(asked, mentioned=True) if event["type"] == "app_mention" else asked


def asked_with(body: Json) -> Question | None:
    """Returns what a message shortcut asks: the message, on behalf of the one who picked it."""
    message, channel = body.get("message") or {}, (body.get("channel") or {}).get("id")
    if not message.get("ts") or not channel:
        return None
    asker = str(body["user"]["id"])
    message = {**message, "user": message.get("user") or asker}
    question = _question(message, team_of(body), str(channel), "")
    return replace(question, mentioned=True, names_others=False, asked_by=asker)


def _bot_of(body: Json) -> str:
    authorizations = body.get("authorizations") or [{}]
    return str(authorizations[0].get("user_id") or "")


def _by_person(message: Json) -> bool:
    if message.get("subtype") not in QUESTION_SUBTYPES or message.get("bot_id"):
        return False
    return bool(message.get("user"))


def _mentions(message: Json) -> set[str]:
    return set(re.findall(r"<@([UW][A-Z0-9]+)", str(message.get("text") or "")))


def _question(message: Json, team: str, channel: str, bot: str) -> Question:
    mentions = _mentions(message)
    mentioned = bot in mentions
    return Question(
        team=team,
        channel=channel,
        ts=str(message["ts"]),
        thread_ts=str(message.get("thread_ts") or message["ts"]),
        user=str(message["user"]),
        text=str(message.get("text") or ""),
        direct=message.get("channel_type") == "im" or channel.startswith("D"),
        mentioned=mentioned,
        names_others=bool(mentions - {bot}) and not mentioned,
        edited_ts=(message.get("edited") or {}).get("ts"),
        looking_at=channels_of(message.get("app_context")),
    )


def entities_of(context: object) -> list[dict[str, str]]:
    """Returns what somebody looks at: `{type, value}` each, ids only, most relevant first."""
    entities = context.get("entities") if isinstance(context, dict) else None
    return [
        {"type": str(entity["type"]), "value": str(entity["value"])}
        for entity in (entities if isinstance(entities, list) else [])
        if isinstance(entity, dict) and _ID.fullmatch(str(entity.get("value"))) and "type" in entity
    ]


def channels_of(context: object) -> tuple[str, ...]:
    """Returns the channels among what somebody looks at."""
    return tuple(e["value"] for e in entities_of(context) if e["type"].endswith("channel_id"))


def _thumb(event: Json, team: str) -> Thumb | None:
    rating = _THUMBS.get(_SKIN_TONE.sub("", event.get("reaction", "")))
    item = event.get("item") or {}
    if rating is None or item.get("type") != "message":
        return None
    return Thumb(
        team=team,
        channel=item["channel"],
        ts=item["ts"],
        user=event["user"],
        author=event.get("item_user", ""),
        rating=rating,
        added=event["type"] == "reaction_added",
        event_ts=float(event["event_ts"]),
    )
