"""What is written for Slack and Docker says the same as the code."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import yaml

from bot.slack import api, payloads
from bot.slack.views.corrections import TEACH_SHORTCUT
from tests.docs import settings_page
from tests.docs.generate import ROOT

DEPLOY = ROOT / "deploy"

# Scopes by method and by event, as docs.slack.dev names them. Reading threads and channels needs
# one scope for each kind of conversation the bot is in.
_READS = {"channels:history", "groups:history", "im:history"}
METHODS: dict[str, set[str]] = {
    "assistant.threads.setStatus": {"assistant:write"},
    "auth.test": set(),
    "chat.appendStream": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.postMessage": {"chat:write"},
    "chat.startStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "chat.update": {"chat:write"},
    "conversations.history": _READS,
    "conversations.open": {"im:write"},
    "conversations.replies": _READS,
    "usergroups.list": {"usergroups:read"},
    "usergroups.users.list": {"usergroups:read"},
    "users.list": {"users:read"},
    "views.open": set(),
    "views.publish": set(),
    "views.update": set(),
}
EVENTS: dict[str, set[str]] = {
    "app_home_opened": set(),
    "app_mention": {"app_mentions:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "reaction_added": {"reactions:read"},
    "reaction_removed": {"reactions:read"},
}


def _yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return loaded


def test_the_table_holds_every_method_the_code_calls() -> None:
    called = set(re.findall(r'slack_errors\("([\w.]+)"\)', inspect.getsource(api)))
    assert called == set(METHODS)


def test_the_manifest_asks_for_exactly_the_scopes_in_use() -> None:
    asked = _yaml("slack-manifest.yaml")["oauth_config"]["scopes"]["bot"]
    used = set[str]().union(*METHODS.values(), *EVENTS.values())
    assert asked == sorted(used)


def test_the_manifest_subscribes_to_exactly_the_events_that_are_read() -> None:
    subscribed = _yaml("slack-manifest.yaml")["settings"]["event_subscriptions"]["bot_events"]
    assert set(subscribed) == set(EVENTS)
    assert {name.partition(".")[0] for name in subscribed} == _event_types()


def test_the_shortcut_is_the_one_that_is_handled() -> None:
    (shortcut,) = _yaml("slack-manifest.yaml")["features"]["shortcuts"]
    assert shortcut["callback_id"] == TEACH_SHORTCUT
    assert shortcut["type"] == "message"


def test_slack_accepts_the_texts_of_the_manifest() -> None:
    manifest = _yaml("slack-manifest.yaml")
    assert len(manifest["features"]["agent_view"]["agent_description"]) <= 300
    assert len(manifest["display_information"]["description"]) <= 140
    assert len(manifest["features"]["shortcuts"][0]["description"]) <= 150
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"]["is_enabled"] is True


def test_compose_sets_settings_that_exist() -> None:
    known = {
        name
        for setting in settings_page.settings()
        for name in (setting.variable, setting.alias)
        if name
    }
    environment = _yaml("compose.yaml")["x-understudy"]["environment"]
    assert environment
    assert sorted(set(environment) - known) == []


def test_compose_asks_for_what_its_example_names() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))
    example = (DEPLOY / "compose.env.example").read_text(encoding="utf-8")
    assert asked == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_the_image_copies_what_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE)
              for name in line.split()]  # fmt: skip
    assert len(copied) > 5
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied)
    pin = re.search(r"torch==[\d.]+", text)
    assert pin is not None
    assert pin.group() in Path(ROOT / "pyproject.toml").read_text(encoding="utf-8")


def _event_types() -> set[str]:
    """Returns the types that `parse` compares with."""
    tree = ast.parse(inspect.getsource(payloads.parse))
    return {
        constant.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and node.left.id == "kind"
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
