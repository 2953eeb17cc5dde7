"""`understudy slack`: what is installed, where cards go, and keys that rotate."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from bot.slack.installs.cipher import TokenCipher, new_key
from deploy.commands.slack import app
from feedback.domain.workspace import WorkspaceState
from feedback.errors import ConfigurationError, NotFoundError
from feedback.store.unit_of_work import Store, Transaction

RUNNER = CliRunner()
TEAM = "T0ACME0001"
OLD, NEW = new_key(), new_key()

Act = Callable[[Transaction], Awaitable[object]]


@pytest.fixture(autouse=True)
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_SLACK__ENCRYPTION_KEYS", json.dumps([NEW, OLD]))


def record(database_url: str, act: Act) -> object:
    """Acts on the database in a loop of its own, as the commands do."""

    async def run() -> object:
        store = Store.connect(database_url)
        try:
            async with store.begin() as tx:
                return await act(tx)
        finally:
            await store.close()

    return asyncio.run(run())


def install(database_url: str) -> None:
    async def act(tx: Transaction) -> None:
        await tx.workspaces.install(
            TEAM, name="Acme", enterprise="", bot_user="U1", bot_id="B1", at=datetime.now(UTC)
        )
        sealed = TokenCipher([SecretStr(OLD)]).seal("xoxb-of-acme")
        await tx.connection.execute(
            text(
                "insert into slack_bots (client_id, app_id, team_id, bot_token, installed_at, "
                "is_enterprise_install) values ('1.2', 'A1', :team, :token, now(), false)"
            ),
            {"team": TEAM, "token": sealed},
        )

    record(database_url, act)


def invoke(*arguments: str) -> str:
    result = RUNNER.invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_workspaces_and_their_review_channels(database_url: str) -> None:
    install(database_url)
    assert "C0REVIEW04" in invoke("review-channel", TEAM, "C0REVIEW04")
    (row,) = [json.loads(line) for line in invoke("workspaces").splitlines()]
    assert (row["team"], row["state"]) == (TEAM, "installed")
    assert row["review_channel"] == "C0REVIEW04"
    with pytest.raises(NotFoundError, match="T0NOBODY"):
        invoke("review-channel", "T0NOBODY", "C1")


def test_keys_rotate(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(database_url)
    assert "1 tokens" in invoke("rotate-keys")

    async def token(tx: Transaction) -> object:
        return await tx.connection.scalar(text("select bot_token from slack_bots"))

    stored = str(record(database_url, token))
    assert TokenCipher([SecretStr(NEW)]).open(stored) == "xoxb-of-acme"
    monkeypatch.setenv("UNDERSTUDY_SLACK__ENCRYPTION_KEYS", json.dumps([OLD]))
    with pytest.raises(ConfigurationError, match="fits none"):
        invoke("rotate-keys")


def test_a_workspace_is_erased_by_hand(database_url: str) -> None:
    install(database_url)
    report = json.loads(invoke("erase", TEAM, "--by", "Ines", "--yes"))
    assert report["erased"]["questions"] == 0

    async def kept(tx: Transaction) -> object:
        tokens = await tx.connection.scalar(text("select count(*) from slack_bots"))
        actor = await tx.connection.scalar(text("select actor from audit"))
        return tokens, actor, (await tx.workspaces.all())[0].state

    assert record(database_url, kept) == (0, "Ines", WorkspaceState.REMOVED)
    with pytest.raises(NotFoundError, match="never installed"):
        invoke("erase", "T0NOBODY", "--yes")


def test_a_new_key_is_a_good_key() -> None:
    key = invoke("new-key").strip()
    assert TokenCipher.problems([SecretStr(key)]) == []
