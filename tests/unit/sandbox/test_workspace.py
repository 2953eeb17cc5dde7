"""The seed: what the sandbox offers is what the app's manifest declares."""

from pathlib import Path

import yaml

from bot.sandbox.workspace import Workspace, default_workspace

MANIFEST = Path(__file__).parents[3] / "deploy" / "slack-manifest.yaml"


def test_shortcuts_and_commands_are_those_of_the_manifest() -> None:
    features = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["features"]
    space = default_workspace()
    offered = [(shortcut.callback_id, shortcut.name) for shortcut in space.shortcuts]
    assert offered == [(row["callback_id"], row["name"]) for row in features["shortcuts"]]
    commands = [(c.command, c.description, c.usage_hint) for c in space.commands]
    declared = features["slash_commands"]
    assert commands == [(r["command"], r["description"], r["usage_hint"]) for r in declared]


def test_a_seed_survives_its_way_through_json() -> None:
    space = default_workspace()
    assert Workspace.from_json(space.to_json()) == space
