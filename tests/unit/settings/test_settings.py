"""Settings are read once, all problems are told together, and secrets stay out of sight."""

from pathlib import Path

import pytest

from feedback.errors import ConfigurationError
from feedback.settings import PACKAGED_BASE, Settings, load_settings


def test_promised_defaults() -> None:
    settings = load_settings({})
    assert settings.model.base == PACKAGED_BASE
    assert settings.retrain.label_gate == 5000
    assert settings.retrain.schedule == "0 3 * * sun"
    assert settings.retrain.holdout == 0.2
    assert settings.privacy.training_consent == "reviewer_authored"
    assert settings.database_url is None
    assert settings.state_dir.is_absolute()


def test_names_that_other_tools_use_are_accepted() -> None:
    settings = load_settings(
        {
            "DATABASE_URL": "postgresql://somebody@db/understudy",
            "SLACK_BOT_TOKEN": "xoxb-1",
            "TGI_URL": "http://tgi:3000",
            "BASE_MODEL": "/models/base",
        }
    )
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value().endswith("/understudy")
    assert settings.model.url == "http://tgi:3000"
    assert settings.model.base == "/models/base"


def test_nested_and_structured_values() -> None:
    settings = load_settings(
        {"UNDERSTUDY_BOT__WORKERS": "3", "UNDERSTUDY_STACK__MODEL_PORTS": "[9001, 9002]"}
    )
    assert settings.bot.workers == 3
    assert settings.stack.model_ports == (9001, 9002)


def test_every_problem_is_reported_with_its_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(
            {
                "UNDERSTUDY_BOT__WORKERS": "0",
                "UNDERSTUDY_BOT__WORKRS": "3",
                "UNDERSTUDY_NONSENSE": "1",
                "RETRAIN_LAUNCHER": "cluster",
            }
        )
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for name in ("BOT__WORKERS", "BOT__WORKRS", "NONSENSE", "RETRAIN_LAUNCHER"):
        assert name in problems


def test_secrets_are_masked() -> None:
    secrets = {"SLACK_BOT_TOKEN": "xoxb-secret", "DATABASE_URL": "postgresql://u:hidden@db/x"}
    shown = repr(load_settings(secrets))
    assert "xoxb-secret" not in shown
    assert "hidden" not in shown


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.state_dir = Path("/elsewhere")  # type: ignore[misc]
