"""What is written for Docker says the same as the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from bot.configuring import require_consistent
from feedback.settings import StackSettings, load_settings
from retrain.platforms.compose import DEPLOYMENT_LABEL, SERVICES
from tests.docs import settings_page
from tests.docs.generate import ROOT

DEPLOY = ROOT / "deploy"


def _yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return loaded


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


@pytest.mark.parametrize(
    "chosen",
    [
        {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"},
        {
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_APP_TOKEN": "",
            "SLACK_TRANSPORT": "http",
            "SLACK_SIGNING_SECRET": "0123456789abcdef",
        },
        {
            "SLACK_BOT_TOKEN": "",
            "SLACK_APP_TOKEN": "xapp-1",
            "SLACK_CLIENT_ID": "1.2",
            "SLACK_CLIENT_SECRET": "secret",
            "ENCRYPTION_KEYS": json.dumps([Fernet.generate_key().decode()]),
        },
    ],
    ids=["socket", "http", "oauth"],
)
def test_compose_carries_every_way_to_reach_slack(chosen: dict[str, str]) -> None:
    """As Compose fills it in: the example file, with what an operator chose."""
    example = (DEPLOY / "compose.env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)) | chosen
    environment = {
        name: re.sub(
            r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", lambda m: given[m[1]] or m[2] or "", str(value)
        )
        for name, value in _yaml("compose.yaml")["x-understudy"]["environment"].items()
    }
    require_consistent(load_settings(environment).slack)


def test_blue_and_green_are_what_the_publisher_starts() -> None:
    tgi = _yaml("compose.tgi.yaml")
    services = tgi["services"]
    assert tuple(services) == SERVICES
    published = [service["ports"][0].split(":") for service in services.values()]
    assert [int(host) for _, host, _ in published] == list(StackSettings().model_ports)
    for service in services.values():
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), "a moving tag is no version"
        assert DEPLOYMENT_LABEL in service["labels"]
        # With a value, even an empty one, TGI would look for an adapter without a name.
        assert "LORA_ADAPTERS" in service["environment"]
        assert int(service["stop_grace_period"].removesuffix("s")) > 90
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.tgi.yaml").read_text()))
    names = {name for s in settings_page.settings() for name in (s.variable, s.alias) if name}
    assert asked - names == {"UNDERSTUDY_DEPLOYMENT"}


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
