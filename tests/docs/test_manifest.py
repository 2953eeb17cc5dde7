"""The Slack manifest asks for exactly what the code uses: scopes, events, shortcuts, commands.

Nothing here is a list to keep in step by hand but the tables of what Slack documents: the methods
come from the calls, the events from the names that the readers of deliveries know, shortcuts and
commands from what is listened to.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from bot.slack.listeners.base import Heard, ListenerParts
from bot.slack.listeners.registry import everything_heard
from tests.docs.generate import ROOT

SLACK = ROOT / "bot" / "slack"
MANIFEST = ROOT / "deploy" / "slack-manifest.yaml"

# Bot scopes by method, as docs.slack.dev names them. Reading threads and channels needs one scope
# for each kind of conversation the bot is in.
_READS = {"channels:history", "groups:history", "im:history"}
METHODS: dict[str, set[str]] = {
    "agents.sessions.setStatus": {"chat:write"},
    "apps.connections.open": set(),  # app-level token
    "assistant.threads.setStatus": {"assistant:write"},
    "assistant.threads.setSuggestedPrompts": {"assistant:write"},
    "auth.revoke": set(),
    "auth.test": set(),
    "chat.appendStream": {"chat:write"},
    "chat.delete": {"chat:write"},
    "chat.getPermalink": set(),
    "chat.postEphemeral": {"chat:write"},
    "chat.postMessage": {"chat:write"},
    "chat.startStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "chat.update": {"chat:write"},
    "conversations.history": _READS,
    "conversations.info": {"channels:read", "groups:read", "im:read"},
    "conversations.members": {"channels:read", "groups:read", "im:read"},
    "conversations.open": {"im:write"},
    "conversations.replies": _READS,
    "oauth.v2.access": set(),
    "reactions.add": {"reactions:write"},
    "reactions.get": {"reactions:read"},
    "reactions.remove": {"reactions:write"},
    "usergroups.list": {"usergroups:read"},
    "usergroups.users.list": {"usergroups:read"},
    "users.info": {"users:read"},
    "users.list": {"users:read"},
    "views.open": set(),
    "views.publish": set(),
    "views.push": set(),
    "views.update": set(),
}
"""Scopes of the methods that a bot like this one may call; those it does call are read off."""

MESSAGES = {
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
}
EVENTS: dict[str, set[str]] = {
    "agent_session_stopped": {"assistant:write"},
    "agent_session_title_changed": {"assistant:write"},
    "app_context_changed": {"assistant:write"},
    "app_home_opened": set(),
    "app_mention": {"app_mentions:read"},
    "app_uninstalled": set(),
    "assistant_thread_context_changed": {"assistant:write"},
    "assistant_thread_started": {"assistant:write"},
    "channel_archive": {"channels:read"},
    "channel_created": {"channels:read"},
    "channel_deleted": {"channels:read"},
    "channel_rename": {"channels:read"},
    "channel_unarchive": {"channels:read"},
    "file_shared": {"files:read"},
    "group_archive": {"groups:read"},
    "group_deleted": {"groups:read"},
    "group_rename": {"groups:read"},
    "link_shared": {"links:read"},
    "member_joined_channel": {"channels:read", "groups:read"},
    "member_left_channel": {"channels:read", "groups:read"},
    "message_metadata_posted": {"metadata.message:read"},
    "reaction_added": {"reactions:read"},
    "reaction_removed": {"reactions:read"},
    "subteam_created": {"usergroups:read"},
    "subteam_members_changed": {"usergroups:read"},
    "subteam_updated": {"usergroups:read"},
    "team_join": {"users:read"},
    "tokens_revoked": set(),
    "user_change": {"users:read"},
}
"""Scopes of events that Slack sends to apps; those the code knows by name are read off."""


def test_every_method_called_is_known() -> None:
    assert called() - METHODS.keys() == set()


def test_it_asks_for_exactly_the_scopes_in_use() -> None:
    used = {"commands"} if heard().commands or heard().shortcuts else set()
    used |= set[str]().union(*(METHODS[name] for name in called()))
    used |= set[str]().union(*(scopes for name, scopes in subscribable() if name in subscribed()))
    assert manifest()["oauth_config"]["scopes"]["bot"] == sorted(used)


def test_it_subscribes_to_exactly_the_events_that_are_read() -> None:
    wanted = {name for name in EVENTS if name in literals()} | MESSAGES.keys()
    assert "message" in literals()
    assert set(subscribed()) == wanted
    assert subscribed() == sorted(subscribed())


def test_its_shortcuts_are_those_that_are_listened_to() -> None:
    shortcuts = manifest()["features"]["shortcuts"]
    assert {item["callback_id"] for item in shortcuts} == set(heard().shortcuts)
    assert {item["type"] for item in shortcuts} == {"message"}


def test_its_commands_are_those_that_are_listened_to() -> None:
    commands = manifest()["features"]["slash_commands"]
    assert {item["command"] for item in commands} == set(heard().commands)
    assert all(item["should_escape"] for item in commands), "people are named by their ids"


def test_slack_accepts_its_texts() -> None:
    asked = manifest()
    features = asked["features"]
    assert len(features["agent_view"]["agent_description"]) <= 300
    assert len(asked["display_information"]["description"]) <= 140
    for shortcut in features["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert len(shortcut["description"]) <= 150
    for command in features["slash_commands"]:
        assert len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000
    assert asked["settings"]["socket_mode_enabled"] is True
    assert asked["settings"]["interactivity"]["is_enabled"] is True


class _Anything:
    """Stands for parts of a workspace that are only passed on here."""

    def __getattr__(self, name: str) -> "_Anything":
        return self


def heard() -> Heard:
    """Returns what is listened to."""
    return everything_heard(cast("ListenerParts", _Anything()))


def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return loaded


def subscribed() -> list[str]:
    names: list[str] = manifest()["settings"]["event_subscriptions"]["bot_events"]
    return names


def subscribable() -> Iterator[tuple[str, set[str]]]:
    yield from EVENTS.items()
    yield from MESSAGES.items()


def called() -> set[str]:
    """Returns the Web API methods that the code names where it calls Slack."""
    return {name for name in literals() if name in METHODS or _METHOD.fullmatch(name)}


_METHOD = re.compile(
    r"(?:admin|agents|apps|assistant|auth|bookmarks|bots|calls|canvases|chat|conversations|dnd|emoji|"
    r"files|migration|oauth|openid|pins|reactions|reminders|search|slackLists|stars|team|usergroups|"
    r"users|views|workflows)(?:\.[a-zA-Z0-9]+)+"
)


def literals() -> set[str]:
    """Returns every string in the code that talks to Slack and reads what it delivers."""
    found: set[str] = set()
    for path in _modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        }
    return found


def _modules() -> Iterator[Path]:
    for path in SLACK.rglob("*.py"):
        if "views" not in path.parts:
            yield path
    yield from (ROOT / "bot").glob("*.py")
