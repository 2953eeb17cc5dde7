"""`understudy knowledge` and `understudy mine` with the real embedder and a real database."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.commands import knowledge, mine
from feedback.errors import InvalidInputError
from feedback.samples.company import Split, load_company

RUNNER = CliRunner()
APP = typer.Typer()
APP.command("mine")(mine.mine)
APP.add_typer(knowledge.app, name="knowledge")

OUTSIDE = [
    "Hi there!",
    "Thanks a lot, bye",
    "What is 12 + 30?",
    "Tell me 7 times 8.",
    "Who won the world cup in 2018?",
    "How do I cook rice?",
    "What is the capital of Norway?",
    "Which vaccine protects against measles?",
    "My cash machine swallowed the bank card",
]

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)

    def invoke(*arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
        result = RUNNER.invoke(APP, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    return invoke


def lines(rows: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def test_documents_are_synced_searched_and_synced_again(run: Run) -> None:
    company = load_company()
    folder = str(company.documents_path)
    (first,) = run("knowledge", "sync", folder)
    assert first["added"] == first["embedded_chunks"] == len(company.documents)
    (second,) = run("knowledge", "sync", folder)
    assert (second["unchanged"], second["embedded_chunks"]) == (len(company.documents), 0)

    asked = [
        {"id": f"{intent.id}:{number}", "question": question}
        for intent in company.intents
        for number, question in enumerate(intent.questions(Split.NEW_FRAME)[:2])
    ]
    outside = [{"id": f"out:{n}", "question": question} for n, question in enumerate(OUTSIDE)]
    rows = run("knowledge", "search", "-q", "-", "--k", "3", stdin=lines(asked + outside))
    assert [row["id"] for row in rows] == [row["id"] for row in asked + outside]
    assert not any(row["answerable"] for row in rows if row["id"].startswith("out:"))
    inside = [row for row in rows if not row["id"].startswith("out:")]
    documents = {intent.id: intent.doc_id for intent in company.intents}
    right = [row["hits"][0]["doc_id"] == documents[row["id"].partition(":")[0]] for row in inside]
    # Measured: 0.98 of these wordings, both for the first hit and for answerable.
    assert sum(right) >= 0.95 * len(inside)
    assert sum(row["answerable"] for row in inside) >= 0.95 * len(inside)
    for row in rows:
        scores = [hit["score"] for hit in row["hits"]]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3


def test_a_page_taken_away_is_no_longer_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Refunds\n\nA refund reaches the bank in nine workdays.")
    (tmp_path / "b.md").write_text("# Seats\n\nThe team plan comes with twelve seats.")
    run("knowledge", "sync", str(tmp_path))
    (tmp_path / "a.md").unlink()
    (counts,) = run("knowledge", "sync", str(tmp_path))
    assert (counts["removed"], counts["unchanged"]) == (1, 1)
    query = lines([{"id": 1, "question": "When does my refund reach the bank?"}])
    (row,) = run("knowledge", "search", "-q", "-", stdin=query)
    assert {hit["doc_id"] for hit in row["hits"]} == {"b"}
    assert row["answerable"] is False


def week() -> list[dict[str, Any]]:
    """Three intents that go wrong six to eight times each, and as many single failures."""
    intents = load_company().intents[:3]
    rows = [
        {
            "id": f"{intent.id}/{number}",
            "thread_id": f"{intent.id}/{number}",
            "user_id": f"user {number}",
            "ts": 1000 * number,
            "question": question,
            "answer": "It depends on the plan of the workspace.",
            "correction": intent.gold_answer,
            "rating": "down",
            "reasons": ["wrong_fact"],
            # Nobody finds the third intent's document.
            "retrieved": [{"doc_id": intent.doc_id, "score": 0.9 if place < 2 else 0.1}],
        }
        for place, intent in enumerate(intents)
        for number, question in enumerate(intent.questions(Split.LIVE)[: 6 + place])
    ]
    once = [
        {"id": f"once/{n}", "question": q, "answer": "-", "rating": "down"}
        for n, q in enumerate(OUTSIDE)
    ]
    return rows + once


def test_mining_finds_each_repeated_failure_and_its_fix(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "week.jsonl"
    path.write_text(lines(week()))
    (found,) = run("mine", "--input", str(path))
    members = {
        frozenset(item.partition("/")[0] for item in pattern["member_ids"]): pattern
        for pattern in found["patterns"]
    }
    names = [intent.id for intent in load_company().intents[:3]]
    assert set(members) == {frozenset([name]) for name in names}
    assert [members[frozenset([name])]["size"] for name in names] == [6, 7, 8]
    verdicts = [members[frozenset([name])]["verdict"] for name in names]
    assert verdicts == ["fine_tune", "fine_tune", "document"]
    assert set(found["unclustered"]) == {f"once/{n}" for n in range(len(OUTSIDE))}
    for pattern in found["patterns"]:
        assert pattern["example_ids"][0] in pattern["member_ids"]

    output = tmp_path / "first.json"
    output.write_text(json.dumps(found))
    (again,) = run("mine", "--input", str(path), "--previous", str(output))
    ids = [pattern["id"] for pattern in found["patterns"]]
    assert [pattern["id"] for pattern in again["patterns"]] == ids


def test_mining_refuses_what_it_cannot_read(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="give an existing JSONL file"):
        run("mine", "--input", str(tmp_path / "none.jsonl"))
    path = tmp_path / "week.jsonl"
    path.write_text(lines(week()))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(InvalidInputError, match="no output of `understudy mine`"):
        run("mine", "--input", str(path), "--previous", str(tmp_path / "other.json"))
