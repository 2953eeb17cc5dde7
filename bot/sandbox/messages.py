"""The life of messages: posted, streamed, edited, reacted to, deleted.

Every change goes to three places in one step: the state, the app's events, and the feed.
"""

import copy
import re
import secrets
from dataclasses import dataclass, field

from bot.sandbox.errors import SlackError
from bot.sandbox.events import Events
from bot.sandbox.feed import Feed
from bot.sandbox.jsontypes import Json
from bot.sandbox.richtext import rich_text
from bot.sandbox.state import Channel, State

_TS = re.compile(r"^\d{1,12}\.\d{6}$")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What somebody wants to post.

    Attributes:
        user: The author's user id.
        is_app: Whether the app posts it with its bot token.
        extra: Further keys of the message, e.g. `streaming_state`.
    """

    user: str
    text: str
    is_app: bool = False
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None
    extra: Json = field(default_factory=dict)


class Messages:
    """Changes messages and tells everybody who may know."""

    def __init__(self, state: State, events: Events, feed: Feed) -> None:
        self._state = state
        self._events = events
        self._feed = feed

    def post(self, channel: Channel, draft: Draft) -> Json:
        """Posts a message and returns it.

        Raises:
            SlackError: `invalid_thread_ts`, `thread_not_found` or `cannot_reply_to_message`.
        """
        message = self._compose(channel, draft)
        self._state.put_message(channel, message)
        self._events.posted(channel, message)
        self._tell("message", channel, message)
        root = draft.thread_ts
        if root is not None and root != message["ts"] and root in channel.messages:
            self._tell("message_changed", channel, channel.messages[root])
        return message

    def post_ephemeral(self, channel: Channel, draft: Draft, *, reader: str) -> Json:
        """Posts a message that only `reader` sees."""
        message = self._compose(channel, draft)
        message |= {"channel": channel.id, "_reader": reader, "is_ephemeral": True}
        self._state.put_ephemeral(message)
        self._feed.append(
            "ephemeral",
            channel=channel.id,
            only_for=reader,
            message=self._state.present(channel, message),
        )
        return message

    def _compose(self, channel: Channel, draft: Draft) -> Json:
        root = draft.thread_ts
        if root is not None:
            self._require_root(channel, root)
        ts = self._state.next_ts()
        message: Json = {"type": "message", "user": draft.user, "ts": ts, "text": draft.text}
        space = self._state.workspace
        message["team"] = space.team_id
        if draft.is_app:
            message |= {
                "bot_id": space.bot_id,
                "app_id": space.app_id,
                "bot_profile": {
                    "id": space.bot_id,
                    "app_id": space.app_id,
                    "name": space.app_name,
                    "team_id": space.team_id,
                    "deleted": False,
                },
            }
        else:
            message["client_msg_id"] = secrets.token_hex(16)
        if draft.blocks:
            message["blocks"] = with_ids(draft.blocks)
        elif draft.text and not draft.is_app:
            message["blocks"] = with_ids([rich_text(draft.text)])
        if draft.attachments:
            message["attachments"] = draft.attachments
        if root is not None and root != ts:
            message["thread_ts"] = root
        if draft.broadcast:
            message["subtype"] = "thread_broadcast"
        if draft.metadata is not None:
            message["metadata"] = draft.metadata
        return message | draft.extra

    def _require_root(self, channel: Channel, root: str) -> None:
        if not _TS.match(root):
            raise SlackError("invalid_thread_ts")
        parent = channel.messages.get(root)
        if parent is None:
            raise SlackError("thread_not_found")
        if parent.get("thread_ts", root) != root:
            raise SlackError("cannot_reply_to_message")

    def edit(
        self, channel: Channel, ts: str, changes: Json, *, editor: str, silent: bool = False
    ) -> Json:
        """Applies `changes` (a None value removes the key) and returns the message.

        Args:
            channel: Where the message is.
            ts: The message.
            changes: Keys to set.
            editor: Who is named as the editor.
            silent: Change without an `edited` mark and without an event (stream appends).
        """
        message = channel.message(ts)
        previous = self._state.present(channel, copy.deepcopy(message))
        for key, value in changes.items():
            if value is None:
                message.pop(key, None)
            else:
                message[key] = with_ids(value) if key == "blocks" else value
        if not silent:
            message["edited"] = {"user": editor, "ts": self._state.next_ts()}
        self._state.put_message(channel, message)
        if not silent:
            self._events.changed(channel, message, previous)
        self._tell("message_changed", channel, message)
        return message

    def finish_stream(self, channel: Channel, ts: str, previous: Json) -> None:
        """Tells the app that a streamed message is final."""
        self._events.changed(channel, channel.message(ts), previous)

    def delete(self, channel: Channel, ts: str) -> None:
        """Deletes a message; a thread root with replies leaves a tombstone, as in Slack."""
        message = channel.message(ts)
        previous = self._state.present(channel, message)
        if channel.threads.get(ts):
            stone = {"subtype": "tombstone", "text": "This message was deleted.", "blocks": None,
                     "hidden": True, "metadata": None, "reactions": None}  # fmt: skip
            self.edit(channel, ts, stone, editor=message["user"])
            return
        self._state.remove_message(channel, ts)
        self._events.deleted(channel, previous)
        self._feed.append("message_deleted", channel=channel.id, ts=ts, message=previous)
        root = previous.get("thread_ts")
        if root is not None and root in channel.messages:
            self._tell("message_changed", channel, channel.messages[root])

    def delete_ephemeral(self, ts: str) -> None:
        """Takes an ephemeral message off its reader's screen."""
        message = self._state.ephemerals.get(ts)
        if message is not None:
            self._state.remove_ephemeral(ts)
            place = {"channel": message["channel"], "only_for": message["_reader"]}
            self._feed.append("ephemeral_deleted", ts=ts, **place)

    def react(self, channel: Channel, ts: str, *, user: str, name: str) -> None:
        """Adds a reaction.

        Raises:
            SlackError: `message_not_found`, `already_reacted`, `too_many_reactions`.
        """
        message = channel.message(ts)
        reactions: list[Json] = message.setdefault("reactions", [])
        entry = next((r for r in reactions if r["name"] == name), None)
        if entry is None:
            if len(reactions) >= 50:
                raise SlackError("too_many_reactions")
            entry = {"name": name, "users": [], "count": 0}
            reactions.append(entry)
        if user in entry["users"]:
            raise SlackError("already_reacted")
        entry["users"].append(user)
        entry["count"] = len(entry["users"])
        self._state.put_message(channel, message)
        self._events.reacted(channel, message, user=user, name=name, added=True)
        self._tell("message_changed", channel, message)

    def unreact(self, channel: Channel, ts: str, *, user: str, name: str) -> None:
        """Removes a reaction.

        Raises:
            SlackError: `message_not_found`, `no_reaction`.
        """
        message = channel.message(ts)
        reactions: list[Json] = message.get("reactions", [])
        entry = next((r for r in reactions if r["name"] == name and user in r["users"]), None)
        if entry is None:
            raise SlackError("no_reaction")
        entry["users"].remove(user)
        entry["count"] = len(entry["users"])
        message["reactions"] = [r for r in reactions if r["users"]]
        if not message["reactions"]:
            del message["reactions"]
        self._state.put_message(channel, message)
        self._events.reacted(channel, message, user=user, name=name, added=False)
        self._tell("message_changed", channel, message)

    def _tell(self, kind: str, channel: Channel, message: Json) -> None:
        self._feed.append(
            kind,
            channel=channel.id,
            ts=message["ts"],
            message=self._state.present(channel, message, metadata=True),
        )


def with_ids(blocks: list[Json]) -> list[Json]:
    """Returns blocks in which every block has a block_id and every element an action_id."""
    named = []
    for given in blocks:
        block = dict(given)
        block.setdefault("block_id", secrets.token_urlsafe(4))
        for key in ("elements", "accessory", "element"):
            part = block.get(key)
            if isinstance(part, list) and block["type"] in {"actions", "context_actions"}:
                block[key] = [_with_action_id(element) for element in part]
            elif isinstance(part, dict):
                block[key] = _with_action_id(part)
        named.append(block)
    return named


def _with_action_id(element: Json) -> Json:
    if element.get("type") in {"image", "mrkdwn", "plain_text"}:
        return element
    return {"action_id": secrets.token_urlsafe(4), **element}
