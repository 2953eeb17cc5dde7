"""The workspace as it is now: people, conversations, messages, views.

Everything lives in memory in Slack's JSON shapes and is written through to the journal; the
caller commits once per acknowledged call. Keys that begin with an underscore stay inside.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from bot.sandbox.errors import SlackError
from bot.sandbox.journal import Journal
from bot.sandbox.jsontypes import Json
from bot.sandbox.workspace import Workspace
from feedback.clock import Clock

MAX_EPHEMERALS = 2_000

ChannelKind = Literal["channel", "group", "im"]


@dataclass(kw_only=True)
class Channel:
    """A conversation.

    Attributes:
        members: User ids in order of joining; an `im` has exactly two.
        messages: By ts, oldest first.
        threads: Root ts to the ts of its replies, oldest first.
    """

    id: str
    name: str
    kind: ChannelKind
    members: list[str]
    purpose: str = ""
    created: int = 0
    messages: dict[str, Json] = field(default_factory=dict)
    threads: dict[str, list[str]] = field(default_factory=dict)

    def row(self) -> Json:
        """Returns what the journal keeps; messages are rows of their own."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "members": self.members,
            "purpose": self.purpose,
            "created": self.created,
        }

    def message(self, ts: str) -> Json:
        """Returns the message at `ts`.

        Raises:
            SlackError: `message_not_found`.
        """
        try:
            return self.messages[ts]
        except KeyError:
            raise SlackError("message_not_found") from None


class State:
    """All rows of one workspace, with ids and unique timestamps."""

    def __init__(self, journal: Journal, clock: Clock, workspace: Workspace) -> None:
        self.journal = journal
        self._clock = clock
        self.workspace = workspace
        self.users: dict[str, Json] = {}
        self.groups: dict[str, Json] = {}
        self.channels: dict[str, Channel] = {}
        self.ephemerals: dict[str, Json] = {}
        self.views: dict[str, Json] = {}
        self.stacks: dict[str, list[str]] = {}
        self.homes: dict[str, str] = {}
        self._last_us = 0
        self._load()

    def _load(self) -> None:
        meta = self.journal.load("meta")
        if "workspace" not in meta:
            self._seed()
            return
        self.workspace = Workspace.from_json(meta["workspace"])
        self._last_us = int(meta.get("last_us", 0))
        self.users = self.journal.load("user")
        self.groups = self.journal.load("group")
        self.channels = {k: Channel(**row) for k, row in self.journal.load("channel").items()}
        for key, message in self.journal.load("message").items():
            self._index(self.channels[key.partition("/")[0]], message)
        self.ephemerals = self.journal.load("ephemeral")
        self.views = self.journal.load("view")
        self.stacks = self.journal.load("stack")
        self.homes = self.journal.load("home")

    def _seed(self) -> None:
        space = self.workspace
        self.journal.put("meta", "workspace", space.to_json())
        for person in space.people:
            profile = {"real_name": person.real_name, "title": person.title}
            self._put_user(
                person.id,
                person.name,
                {**profile, "display_name": person.name, "email": person.email},
                {"is_admin": person.is_admin, "tz": person.tz},
            )
        self._put_user(
            space.bot_user_id,
            space.bot_name,
            {"real_name": space.app_name, "display_name": space.app_name, "title": "App",
             "bot_id": space.bot_id, "api_app_id": space.app_id},
            {"is_bot": True},
        )  # fmt: skip
        for seed in space.channels:
            bots = [space.bot_user_id] if seed.bot_is_member else []
            self.put_channel(
                Channel(
                    id=seed.id,
                    name=seed.name,
                    kind="group" if seed.is_private else "channel",
                    members=[*seed.members, *bots],
                    purpose=seed.purpose,
                    created=self.now_s(),
                )
            )
        for group in space.groups:
            row = {"id": group.id, "handle": group.handle, "name": group.name}
            self.groups[group.id] = {**row, "users": list(group.members)}
            self.journal.put("group", group.id, self.groups[group.id])
        self.journal.commit()

    def _put_user(self, user_id: str, name: str, profile: Json, flags: Json) -> None:
        user = {
            "id": user_id,
            "team_id": self.workspace.team_id,
            "name": name,
            "deleted": False,
            "real_name": profile["real_name"],
            "tz": "Europe/Berlin",
            "profile": {**profile, "team": self.workspace.team_id},
            "is_admin": False,
            "is_bot": False,
            "is_app_user": False,
            "updated": self.now_s(),
            **flags,
        }
        self.users[user_id] = user
        self.journal.put("user", user_id, user)

    def reset(self, workspace: Workspace | None = None) -> None:
        """Forgets everything and seeds anew; timestamps go on rising."""
        self.journal.clear()
        self.workspace = workspace or self.workspace
        for rows in (self.users, self.groups, self.channels, self.ephemerals, self.views,
                     self.stacks, self.homes):  # fmt: skip
            rows.clear()
        self._seed()

    def now_s(self) -> int:
        """Returns the clock's time in whole seconds since the epoch."""
        return int(self._clock.now().timestamp())

    def next_ts(self) -> str:
        """Returns the clock's time as a message timestamp, unique and strictly increasing."""
        now_us = round(self._clock.now().timestamp() * 1_000_000)
        self._last_us = max(now_us, self._last_us + 1)
        self.journal.put("meta", "last_us", self._last_us)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def user(self, user_id: str) -> Json:
        """Returns a member.

        Raises:
            SlackError: `user_not_found`.
        """
        try:
            return self.users[user_id]
        except KeyError:
            raise SlackError("user_not_found") from None

    def channel(self, channel_id: str) -> Channel:
        """Returns a conversation.

        Raises:
            SlackError: `channel_not_found`.
        """
        try:
            return self.channels[channel_id]
        except KeyError:
            raise SlackError("channel_not_found") from None

    def put_channel(self, channel: Channel) -> None:
        """Adds a conversation or saves its changed members."""
        self.channels[channel.id] = channel
        self.journal.put("channel", channel.id, channel.row())

    def set_group(self, group_id: str, members: list[str]) -> Json:
        """Replaces the members of a user group; returns the group as it was."""
        group = self.groups[group_id]
        before = dict(group)
        group |= {"users": members, "date_update": self.now_s()}
        self.journal.put("group", group_id, group)
        return before

    def open_im(self, one: str, other: str) -> tuple[Channel, bool]:
        """Returns the direct conversation of two members, and whether it existed.

        Raises:
            SlackError: `user_not_found`, or `invalid_user_combination` for a single person.
        """
        members = [self.user(one)["id"], self.user(other)["id"]]
        if one == other:
            raise SlackError("invalid_user_combination")
        digest = hashlib.sha256("/".join(sorted(members)).encode()).hexdigest()
        channel_id = "D" + digest[:10].upper()
        if channel_id in self.channels:
            return self.channels[channel_id], True
        channel = Channel(id=channel_id, name="", kind="im", members=members, created=self.now_s())
        self.put_channel(channel)
        return channel, False

    def put_message(self, channel: Channel, message: Json) -> None:
        """Adds a message or saves a changed one."""
        if message["ts"] not in channel.messages:
            self._index(channel, message)
        self.journal.put("message", f"{channel.id}/{message['ts']}", message)

    def _index(self, channel: Channel, message: Json) -> None:
        ts = message["ts"]
        channel.messages[ts] = message
        root = message.get("thread_ts")
        if root is not None and root != ts:
            channel.threads.setdefault(root, []).append(ts)

    def remove_message(self, channel: Channel, ts: str) -> Json:
        """Deletes a message and returns it.

        Raises:
            SlackError: `message_not_found`.
        """
        message = channel.message(ts)
        del channel.messages[ts]
        root = message.get("thread_ts")
        if root is not None and root != ts:
            channel.threads[root].remove(ts)
        self.journal.delete("message", f"{channel.id}/{ts}")
        return message

    def put_ephemeral(self, message: Json) -> None:
        """Adds an ephemeral message, which no history shows; the oldest are forgotten."""
        while len(self.ephemerals) >= MAX_EPHEMERALS:
            self.remove_ephemeral(next(iter(self.ephemerals)))
        self.ephemerals[message["ts"]] = message
        self.journal.put("ephemeral", message["ts"], message)

    def remove_ephemeral(self, ts: str) -> None:
        """Deletes an ephemeral message, if it is there."""
        self.ephemerals.pop(ts, None)
        self.journal.delete("ephemeral", ts)

    def put_view(self, view: Json) -> None:
        """Adds a view or saves a changed one."""
        self.views[view["id"]] = view
        self.journal.put("view", view["id"], view)

    def put_stack(self, user_id: str, view_ids: Iterable[str]) -> None:
        """Replaces the open modals of a person; views that left the stack are forgotten."""
        kept = list(view_ids)
        for view_id in self.stacks.get(user_id, []):
            if view_id not in kept:
                self.views.pop(view_id, None)
                self.journal.delete("view", view_id)
        self.stacks[user_id] = kept
        self.journal.put("stack", user_id, kept)

    def put_home(self, user_id: str, view_id: str) -> None:
        """Remembers the App Home of a person."""
        self.homes[user_id] = view_id
        self.journal.put("home", user_id, view_id)

    def present(self, channel: Channel, message: Json, *, metadata: bool = False) -> Json:
        """Returns a message as the Web API shows it, with the facts of its thread."""
        shown = {k: v for k, v in message.items() if not k.startswith("_")}
        if not metadata:
            shown.pop("metadata", None)
        replies = channel.threads.get(message["ts"])
        if replies:
            authors = [channel.messages[ts].get("user", "") for ts in replies]
            users = list(dict.fromkeys(authors))
            shown |= {
                "thread_ts": message["ts"],
                "reply_count": len(replies),
                "reply_users": users,
                "reply_users_count": len(users),
                "latest_reply": replies[-1],
            }
        root = message.get("thread_ts")
        if root is not None and root != message["ts"] and root in channel.messages:
            shown["parent_user_id"] = channel.messages[root].get("user", "")
        return shown
