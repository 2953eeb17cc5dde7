"""Settings that go together, encrypted tokens, and the library's tables in our schema."""

import pytest
import yaml
from cryptography.fernet import Fernet
from pydantic import SecretStr
from slack_sdk.oauth.installation_store.sqlalchemy import AsyncSQLAlchemyInstallationStore
from slack_sdk.oauth.state_store.sqlalchemy import AsyncSQLAlchemyOAuthStateStore
from sqlalchemy import MetaData, Table

from bot.configuring import require_consistent
from bot.slack.installs.cipher import TokenCipher, new_key
from bot.slack.installs.scopes import BOT_SCOPES
from bot.slack.workspaces import installed_team
from feedback.errors import ConfigurationError
from feedback.settings import load_settings
from feedback.store.tables.workspaces import slack_bots, slack_installations, slack_oauth_states
from tests.docs.generate import ROOT

TOKEN = "xoxb-not-a-real-token"
KEY = new_key()


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        require_consistent(load_settings(variables).slack)
    return caught.value.problems


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        SLACK_CLIENT_ID="1.2",
        SLACK_BOT_TOKEN=TOKEN,
        UNDERSTUDY_SLACK__TRANSPORT="http",
        UNDERSTUDY_SLACK__ENCRYPTION_KEYS='["short"]',
    )
    assert len(found) == 4
    assert "both set" in found[0]
    assert "SLACK_CLIENT_SECRET" in found[1]
    assert "key 1" in found[2]
    assert "short" not in found[2], "a key is never shown"
    assert "SLACK_SIGNING_SECRET" in found[3]


def test_a_transport_needs_its_secret() -> None:
    assert "SLACK_APP_TOKEN" in problems(SLACK_BOT_TOKEN=TOKEN)[0]
    http = {"SLACK_BOT_TOKEN": TOKEN, "UNDERSTUDY_SLACK__TRANSPORT": "http"}
    assert "SLACK_SIGNING_SECRET" in problems(**http)[0]
    require_consistent(load_settings({**http, "SLACK_SIGNING_SECRET": "0123456789"}).slack)


def test_nobody_to_answer_for_is_a_problem() -> None:
    assert "SLACK_BOT_TOKEN" in problems(SLACK_APP_TOKEN="xapp-1")[0]


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old, new = SecretStr(KEY), SecretStr(new_key())
    sealed = TokenCipher([old]).seal(TOKEN)
    assert TOKEN not in sealed
    assert TokenCipher([old]).seal(sealed) == sealed, "sealed once"
    both = TokenCipher([new, old])
    assert both.open(sealed) == TOKEN
    again = both.reseal(sealed)
    assert TokenCipher([new]).open(again) == TOKEN
    with pytest.raises(ConfigurationError, match="fits none"):
        TokenCipher([new]).open(sealed)


def test_a_cipher_needs_a_good_key() -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        TokenCipher([])
    with pytest.raises(ConfigurationError, match="key 2"):
        TokenCipher([SecretStr(Fernet.generate_key().decode()), SecretStr("x")])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (slack_bots, AsyncSQLAlchemyInstallationStore.build_bots_table(MetaData(), "slack_bots")),
        (
            slack_installations,
            AsyncSQLAlchemyInstallationStore.build_installations_table(
                MetaData(), "slack_installations"
            ),
        ),
        (
            slack_oauth_states,
            AsyncSQLAlchemyOAuthStateStore.build_oauth_states_table(
                MetaData(), "slack_oauth_states"
            ),
        ),
    ],
    ids=lambda table: table.name,
)
def test_our_tables_are_the_librarys(ours: Table, theirs: Table) -> None:
    def shape(table: Table) -> dict[str, tuple[type, bool]]:
        return {c.name: (c.type.python_type, bool(c.nullable)) for c in table.columns}

    assert shape(ours) == shape(theirs)
    assert {i.name: [c.name for c in i.columns] for i in ours.indexes} == {
        i.name: [c.name for c in i.columns] for i in theirs.indexes
    }


def test_installing_asks_for_the_manifests_scopes() -> None:
    manifest = yaml.safe_load((ROOT / "deploy" / "slack-manifest.yaml").read_text("utf-8"))
    assert list(BOT_SCOPES) == manifest["oauth_config"]["scopes"]["bot"]


def test_a_shared_channel_belongs_to_the_workspace_that_installed_the_app() -> None:
    assert installed_team({"team_id": "T1", "authorizations": [{"team_id": "T2"}]}) == "T2"
    assert installed_team({"team_id": "T1", "authorizations": []}) == "T1"
    assert installed_team({"team": {"id": "T1"}, "view": {"app_installed_team_id": "T3"}}) == "T3"
    assert installed_team({"team": {"id": "T1"}, "user": {"id": "U1", "team_id": "T9"}}) == "T1"
    assert installed_team({"type": "event_callback", "event": "?"}) == ""
