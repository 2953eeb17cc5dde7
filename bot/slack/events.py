"""What workers do with stored deliveries."""

import logging
from dataclasses import dataclass

from bot.slack.agent_events import context_changed, session_stopped
from bot.slack.api import SlackApi
from bot.slack.conversation import Conversation
from bot.slack.directory import Directory
from bot.slack.forms import Delivered
from bot.slack.home import HomePages
from bot.slack.late import LateInteractions
from bot.slack.payloads import (
    ASK_SHORTCUT,
    INTERACTIVE,
    DeletedMessage,
    EditedMessage,
    HomeOpened,
    Identity,
    Question,
    Thumb,
    asked_with,
    parse,
)
from bot.slack.posting import EVENT_TYPE
from bot.voting import Act, VotingDesk
from feedback.domain.delivery import InboxRow
from feedback.errors import PermanentError, UnavailableError

_log = logging.getLogger(__name__)

GROUP_CHANGED = "subteam_members_changed"


@dataclass(frozen=True, kw_only=True)
class EventParts:
    """Everything that events can lead to."""

    api: SlackApi
    bot: Identity
    conversation: Conversation
    voting: VotingDesk
    home: HomePages
    directory: Directory
    late: LateInteractions


class EventHandler:
    """Dispatches inbox rows; every branch may be repeated."""

    def __init__(self, parts: EventParts) -> None:
        self._parts = parts

    def look(self) -> None:
        """Says that a row was written that may end an answer in the making."""
        self._parts.conversation.look()

    async def handle(self, row: InboxRow) -> bool:
        """Works on a row; True when it was closed on the way."""
        question = _asked(row)
        if question is None and (row.type in INTERACTIVE or row.type == "command"):
            await self._parts.late.apply(_stored(row))
            return False
        if row.type == "app_rate_limited":
            _log.error(
                "Slack withholds events: more than 30,000 in an hour from %s",
                row.payload["body"].get("team_id"),
            )
            return False
        if question is not None:
            return await self._parts.conversation.handle(row, question)
        return await self._event(row)

    async def give_up(self, row: InboxRow, exc: Exception) -> None:
        """Tells the one who asked, clicked or typed when it failed for good."""
        question = _asked(row)
        if question is not None:
            await self._parts.conversation.asking.give_up(row, question, exc)
        elif row.type in INTERACTIVE or row.type == "command":
            await self._parts.late.give_up(_stored(row))

    async def _event(self, row: InboxRow) -> bool:
        body = row.payload["body"]
        conversation = self._parts.conversation
        if body["event"]["type"] == GROUP_CHANGED:
            await self._parts.directory.group_changed(str(body["event"].get("subteam_id")))
            return False
        for aside in (context_changed(body), session_stopped(body)):
            if aside is not None:
                await conversation.handle(row, aside)
        event = parse(row.payload)
        match event:
            case EditedMessage() | DeletedMessage():
                return await conversation.handle(row, event)
            case HomeOpened() if event.tab == "messages":
                return await conversation.handle(row, event)
            case HomeOpened():
                await self._parts.home.publish(event.team, event.user, seen=event.view_hash)
            case Thumb():
                await self._react(row, event)
            case _:
                pass
        return False

    async def _react(self, row: InboxRow, event: Thumb) -> None:
        act = Act(team=event.team, user=event.user, event_id=row.event_id, event_ts=event.event_ts)
        found = await self._parts.voting.react(
            act, event.channel, event.ts, event.rating, added=event.added
        )
        if found or event.author not in {"", self._parts.bot.user_id}:
            return
        if row.attempts == 1:
            # People may be faster than the transaction that records where the answer stands.
            raise UnavailableError(
                f"message {event.ts} is not known as an answer yet", retry_after=1.0
            )
        part_of = await self._answer_of(event)
        if part_of is not None:
            await self._parts.voting.react_to(act, part_of, event.rating, added=event.added)

    async def _answer_of(self, event: Thumb) -> str | None:
        """Returns the answer that a message of ours is an earlier part of, by its mark."""
        try:
            messages = await self._parts.api.replies(event.channel, event.ts, oldest=event.ts)
        except PermanentError as exc:
            _log.info("message %s cannot be looked at: %s", event.ts, exc)
            return None
        for message in messages:
            metadata = message.get("metadata") or {}
            if message.get("ts") == event.ts and metadata.get("event_type") == EVENT_TYPE:
                payload = metadata.get("event_payload") or {}
                identity = str(payload.get("id") or "")
                return identity if identity and ":" not in identity else None
        return None


def _stored(row: InboxRow) -> Delivered:
    return Delivered(
        body=row.payload["body"],
        event_id=row.event_id,
        received_ts=float(row.payload["received"]),
    )


def _asked(row: InboxRow) -> Question | None:
    """Returns the question of a row: a message, or a message picked with the shortcut."""
    if row.type in {"message", "app_mention"}:
        event = parse(row.payload)
        return event if isinstance(event, Question) else None
    body = row.payload["body"]
    if row.type == "message_action" and body.get("callback_id") == ASK_SHORTCUT:
        return asked_with(body)
    return None
