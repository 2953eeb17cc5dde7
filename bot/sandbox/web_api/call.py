"""One Web API call: its arguments, who makes it, and the registry of methods."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json, JsonValue
from bot.sandbox.state import Channel
from feedback.errors import InvalidInputError

_TS = re.compile(r"^\d{1,12}\.\d{6}$")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whose token it is.

    Attributes:
        user: The user id that acts: the bot's own for a bot token.
    """

    user: str
    kind: Literal["bot", "user", "app", "nobody"]

    @property
    def is_app(self) -> bool:
        """Whether the app itself calls with its bot token."""
        return self.kind == "bot"


class Args:
    """Arguments as slack_sdk sends them: JSON values, or form fields that may hold JSON text."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """Returns a string argument, None when absent or empty."""
        value = self._values.get(name)
        return None if value is None or value == "" else str(value)

    def required(self, name: str) -> str:
        """Returns a string argument.

        Raises:
            SlackError: `invalid_arguments` when it is absent.
        """
        value = self.text(name)
        if value is None:
            message = f"[ERROR] missing required field: {name}"
            raise SlackError("invalid_arguments", {"response_metadata": {"messages": [message]}})
        return value

    def has(self, name: str) -> bool:
        """Returns whether the argument was sent at all."""
        return self._values.get(name) is not None

    def json(self, name: str, error: str = "invalid_arguments") -> JsonValue:
        """Returns a structured argument, None when absent.

        Raises:
            SlackError: `error` when it is text that is no JSON.
        """
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        if value == "":
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError(error) from None

    def json_or_text(self, name: str) -> JsonValue:
        """Returns an argument as it was sent, text included."""
        return self._values.get(name)

    def everything(self, known: tuple[str, ...]) -> Json:
        """Returns all arguments, when every name is one of `known`.

        Raises:
            InvalidInputError: A name is unknown.
        """
        unknown = sorted(set(self._values) - set(known))
        if unknown:
            raise InvalidInputError(f"unknown keys {unknown}; use {', '.join(known)}")
        return dict(self._values)

    def flag(self, name: str) -> bool:
        """Returns a truth argument: true, 1, "true", "1"."""
        return str(self._values.get(name, "")).lower() in {"true", "1"}

    def integer(self, name: str, default: int) -> int:
        """Returns a number argument.

        Raises:
            SlackError: `invalid_arguments` when it is no number.
        """
        value = self._values.get(name)
        if value is None or value == "":
            return default
        try:
            return int(value)
        except (TypeError, ValueError):
            raise SlackError("invalid_arguments") from None

    def ts(self, name: str) -> str | None:
        """Returns a message timestamp, None when absent.

        Raises:
            SlackError: `invalid_arguments` when it is malformed.
        """
        value = self.text(name)
        if value is not None and not _TS.match(value):
            raise SlackError("invalid_arguments")
        return value


Handler = Callable[[Sandbox, Caller, Args], Json]
METHODS: dict[str, Handler] = {}


def method(name: str) -> Callable[[Handler], Handler]:
    """Registers a handler. Handlers never wait, so each call is one step of the state."""

    def register(handler: Handler) -> Handler:
        METHODS[name] = handler
        return handler

    return register


def caller_of(sandbox: Sandbox, token: str | None) -> Caller:
    """Returns who a token belongs to.

    Raises:
        SlackError: `not_authed` without a token, `invalid_auth` for an unknown one, and what
            became of a bot token that was good once.
    """
    if not token:
        raise SlackError("not_authed")
    space = sandbox.state.workspace
    if sandbox.installation.knows(token):
        return Caller(user=space.bot_user_id, kind="bot")
    if token == space.app_token:
        return Caller(user=space.bot_user_id, kind="app")
    user = token.removeprefix("xoxp-")
    if token.startswith("xoxp-") and user in sandbox.state.users:
        return Caller(user=user, kind="user")
    raise SlackError("invalid_auth")


def visible_channel(sandbox: Sandbox, caller: Caller, channel_id: str) -> Channel:
    """Returns a conversation the caller may know about.

    Raises:
        SlackError: `channel_not_found`, also for private ones the caller is not in.
    """
    channel = sandbox.state.channel(channel_id)
    if channel.kind != "channel" and caller.user not in channel.members:
        raise SlackError("channel_not_found")
    return channel


def joined_channel(sandbox: Sandbox, caller: Caller, channel_id: str) -> Channel:
    """Returns a conversation the caller is in.

    Raises:
        SlackError: `channel_not_found` or `not_in_channel`.
    """
    channel = visible_channel(sandbox, caller, channel_id)
    if caller.user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def target_channel(sandbox: Sandbox, caller: Caller, args: Args) -> Channel:
    """Returns where to post: a joined conversation, or the direct one of a user id.

    Raises:
        SlackError: `channel_not_found` or `not_in_channel`.
    """
    target = args.required("channel")
    if target in sandbox.state.users:
        return sandbox.state.open_im(caller.user, target)[0]
    return joined_channel(sandbox, caller, target)


def page(rows: list[Any], args: Args, default: int, most: int) -> tuple[list[Any], str]:
    """Returns one page of rows and the cursor of the next, empty on the last.

    Raises:
        SlackError: `invalid_cursor`.
    """
    limit = min(max(args.integer("limit", default), 1), most)
    cursor = args.text("cursor")
    start = 0
    if cursor is not None:
        if not cursor.startswith("next:") or not cursor[5:].isdigit():
            raise SlackError("invalid_cursor")
        start = int(cursor[5:])
    end = start + limit
    return rows[start:end], f"next:{end}" if end < len(rows) else ""
