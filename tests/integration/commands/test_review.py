"""`understudy review`: imported candidates reach a team, and agreement is told."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from deploy.cli import build

Run = Callable[..., Mapping[str, Any]]


@pytest.fixture
def understudy(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    app = build(["import", "review"])

    def run(*arguments: str) -> Mapping[str, Any]:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        counts: Mapping[str, Any] = json.loads(result.stdout.splitlines()[-1])
        return counts

    return run


def test_imported_candidates_reach_a_teams_queue(
    understudy: Run, database_url: str, tmp_path: Path
) -> None:
    rows = [
        {"id": str(n), "question": f"Question {n}?", "answer": "No.", "correction": f"Yes, {n}."}
        for n in range(3)
    ]
    file = tmp_path / "transcripts.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    understudy("import", str(file))

    adopted = understudy("review", "adopt", "--team", "T0A", "--limit", "2", "--by", "amira")
    assert adopted == {"adopted": 2, "left": 1}
    ours = understudy("review", "adopt", "--team", "T0A", "--rights", "ours")
    assert ours == {"adopted": 1, "left": 0}
    assert understudy("review", "adopt", "--team", "T0A") == {"adopted": 0, "left": 0}

    plain = database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as connection:
        consents = connection.execute(
            "select consent, count(*) from corrections where team = 'T0A' group by 1 order by 1"
        ).fetchall()
        cards = connection.execute("select count(*) from outbox where kind = 'review_card'")
        trail = connection.execute("select actor, reason from audit order by id").fetchall()
        assert cards.fetchone() == (3,)
    assert consents == [("none", 2), ("reviewer_authored", 1)]
    assert trail == [
        ("amira", "adopted for review"),
        ("operator", "vouches for the right to train"),
    ]


def test_agreement_of_nobody(understudy: Run) -> None:
    assert understudy("review", "agreement", "--team", "T0A") == {
        "pairs": 0,
        "agreed": 0,
        "kappa": None,
    }
