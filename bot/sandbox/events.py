"""Event bodies in Slack's shape, queued for the app when it may see them."""

import re
import secrets
from collections.abc import Callable

from bot.sandbox.delivery import new_event_id
from bot.sandbox.jsontypes import Json
from bot.sandbox.state import Channel, State

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_CHANNEL_TYPE_LETTER = {"channel": "C", "group": "G", "im": "D"}


class Events:
    """Builds `event_callback` bodies and hands them to `deliver`."""

    def __init__(
        self, state: State, deliver: Callable[[Json], None], installed: Callable[[], bool]
    ) -> None:
        self._state = state
        self._installed = installed
        self._deliver = deliver
        self._looking_at: dict[str, list[Json]] = {}

    def publish(self, event: Json) -> None:
        """Wraps an inner event and queues it, when the app is installed to hear it."""
        if self._installed():
            self._queue(event)

    def _queue(self, event: Json) -> None:
        space = self._state.workspace
        self._deliver(
            {
                "token": "sandbox-verification-token",
                "team_id": space.team_id,
                "context_team_id": space.team_id,
                "context_enterprise_id": None,
                "api_app_id": space.app_id,
                "event": event,
                "type": "event_callback",
                "event_id": new_event_id(),
                "event_time": self._state.now_s(),
                "authorizations": [
                    {
                        "enterprise_id": None,
                        "team_id": space.team_id,
                        "user_id": space.bot_user_id,
                        "is_bot": True,
                        "is_enterprise_install": False,
                    }
                ],
                "is_ext_shared_channel": False,
                "event_context": "4-" + secrets.token_hex(16),
            }
        )

    def posted(self, channel: Channel, message: Json) -> None:
        """A new message: `message`, and `app_mention` when a person names the bot."""
        if not self._sees(channel):
            return
        body = self._state.present(channel, message)
        body |= {"channel": channel.id, "event_ts": message["ts"]}
        seen = self._looking_at.get(message["user"])
        about = {"app_context": {"entities": seen}} if channel.kind == "im" and seen else {}
        self.publish({**body, "channel_type": channel.kind, **about})
        mentioned = set(_MENTION.findall(message.get("text", "")))
        person = "bot_id" not in message and "subtype" not in message
        if person and channel.kind != "im" and self._state.workspace.bot_user_id in mentioned:
            self.publish({**body, "type": "app_mention"})

    def changed(self, channel: Channel, message: Json, previous: Json) -> None:
        """An edited message."""
        if not self._sees(channel):
            return
        ts = self._state.next_ts()
        self.publish(
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "message": self._state.present(channel, message),
                "previous_message": previous,
                "channel": channel.id,
                "ts": ts,
                "event_ts": ts,
                "channel_type": channel.kind,
            }
        )

    def deleted(self, channel: Channel, previous: Json) -> None:
        """A deleted message."""
        if not self._sees(channel):
            return
        ts = self._state.next_ts()
        self.publish(
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": previous["ts"],
                "previous_message": previous,
                "channel": channel.id,
                "ts": ts,
                "event_ts": ts,
                "channel_type": channel.kind,
            }
        )

    def reacted(
        self, channel: Channel, message: Json, *, user: str, name: str, added: bool
    ) -> None:
        """A reaction came or went."""
        if not self._sees(channel):
            return
        self.publish(
            {
                "type": "reaction_added" if added else "reaction_removed",
                "user": user,
                "reaction": name,
                "item": {"type": "message", "channel": channel.id, "ts": message["ts"]},
                "item_user": message.get("user", ""),
                "event_ts": self._state.next_ts(),
            }
        )

    def home_opened(self, channel: Channel, *, user: str, tab: str, view: Json | None) -> None:
        """A person opened a tab of the app's conversation."""
        event: Json = {
            "type": "app_home_opened",
            "user": user,
            "channel": channel.id,
            "tab": tab,
            "event_ts": self._state.next_ts(),
        }
        if tab == "home" and view is not None:
            event["view"] = view
        self.publish(event)

    def context_changed(self, channel: Channel, *, user: str, seen: list[Json]) -> None:
        """A person looks at something else while the app is open beside it.

        Args:
            channel: Their conversation with the app.
            user: Who.
            seen: Entities `{type, value, team_id}`, most relevant first; their messages to the
                app carry them until the next change.
        """
        self._looking_at[user] = seen
        self.publish(
            {
                "type": "app_context_changed",
                "user": user,
                "channel": channel.id,
                "context": {"entities": seen} if seen else {},
                "event_ts": self._state.next_ts(),
            }
        )

    def joined(self, channel: Channel, *, user: str) -> None:
        """Somebody joined a channel."""
        if not self._sees(channel):
            return
        self.publish(
            {
                "type": "member_joined_channel",
                "user": user,
                "channel": channel.id,
                "channel_type": _CHANNEL_TYPE_LETTER[channel.kind],
                "team": self._state.workspace.team_id,
                "event_ts": self._state.next_ts(),
            }
        )

    def session_stopped(
        self, channel: Channel, *, thread_ts: str, user: str, streams: list[str]
    ) -> None:
        """A person pressed Stop while the agent was answering."""
        self.publish(
            {
                "type": "agent_session_stopped",
                "channel": channel.id,
                "thread_ts": thread_ts,
                "user": user,
                "streaming_message_ts": streams,
                "event_ts": self._state.next_ts(),
            }
        )

    def group_changed(self, group: Json, before: Json) -> None:
        """The members of a user group changed."""
        added = [user for user in group["users"] if user not in before["users"]]
        removed = [user for user in before["users"] if user not in group["users"]]
        self.publish(
            {
                "type": "subteam_members_changed",
                "subteam_id": group["id"],
                "team_id": self._state.workspace.team_id,
                "date_previous_update": before.get("date_update", 0),
                "date_update": group["date_update"],
                "added_users": added,
                "added_users_count": str(len(added)),
                "removed_users": removed,
                "removed_users_count": str(len(removed)),
                "event_ts": self._state.next_ts(),
            }
        )

    def tokens_revoked(self) -> None:
        """The app's bot token was revoked; told although the app is not installed any more."""
        tokens = {"oauth": [], "bot": [self._state.workspace.bot_user_id]}
        self._queue({"type": "tokens_revoked", "tokens": tokens})

    def uninstalled(self) -> None:
        """The app was taken out of the workspace."""
        self._queue({"type": "app_uninstalled"})

    def rate_limited(self) -> None:
        """Slack holds back further events of this minute; the body has no inner event."""
        space = self._state.workspace
        self._deliver(
            {
                "token": "sandbox-verification-token",
                "type": "app_rate_limited",
                "team_id": space.team_id,
                "minute_rate_limited": self._state.now_s() // 60 * 60,
                "api_app_id": space.app_id,
            }
        )

    def _sees(self, channel: Channel) -> bool:
        return self._state.workspace.bot_user_id in channel.members
