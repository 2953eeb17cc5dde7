"""`understudy cycle` and `understudy privacy` on a real database."""

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import CliRunner, Result

from deploy.cli import build
from feedback.domain.operating import FROZEN
from feedback.errors import InvalidInputError

Run = Callable[..., Result]


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_SLACK__OPERATORS_CHANNEL", "C0OPERATE5")
    return database_url.replace("postgresql+psycopg://", "postgresql://")


@pytest.fixture
def understudy(database: str) -> Run:
    app = build(["cycle", "privacy"])

    def run(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), input=said)

    return run


def test_the_brake_has_a_name_and_a_reason(understudy: Run, database: str) -> None:
    assert understudy("cycle", "freeze", "--by", "amira", "--reason", "odd").exit_code == 0
    with psycopg.connect(database) as connection:
        (entry,) = connection.execute("select subject, actor, reason from audit").fetchall()
        (notice,) = connection.execute("select payload->>'channel' from outbox").fetchall()
    assert entry == (f"switch:{FROZEN}", "amira", "odd")
    assert notice == ("C0OPERATE5",)
    assert '"frozen": true' in understudy("cycle", "status").stdout
    assert understudy("cycle", "unfreeze").exit_code == 0
    assert "2 audit entries, chain intact" in understudy("cycle", "audit").stdout


def test_why_as_text_and_as_json(understudy: Run) -> None:
    text = understudy("cycle", "why").stdout
    assert "Training: No training yet: the gates labels, patterns are closed." in text
    assert "Promotion: No promotion: no experiment is running." in text
    report = json.loads(understudy("cycle", "why", "--json").stdout)
    closed = {g["gate"] for g in report["training"]["gates"] if g["state"] == "closed"}
    assert closed == {"labels", "patterns"}


def test_there_must_be_something_to_promote(understudy: Run) -> None:
    done = understudy("cycle", "promote", "--reason", "now")
    assert isinstance(done.exception, InvalidInputError)
    assert "No experiment is running" in str(done.exception)
    assert understudy("cycle", "promote").exit_code == 2, "a reason is needed"


def test_a_person_is_forgotten_after_a_question(understudy: Run, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into people (team, user_id, names, updated_at)"
            " values ('T1', 'U0ZOE', '{Zoe Quill}', now())"
        )
        ask = ("privacy", "forget", "--team", "T1", "--user", "U0ZOE")
        assert understudy(*ask, said="n\n").exit_code == 1
        names = "select names from people"
        assert connection.execute(names).fetchall() == [(["Zoe Quill"],)]
        done = understudy(*ask, "--yes", "--by", "amira")
        assert done.exit_code == 0
        assert json.loads(done.stdout)["erased"]["names"] == 1
        assert connection.execute(names).fetchall() == [([],)]
        assert connection.execute("select actor from audit").fetchall() == [("amira",)]
