"""The offline commands over texts: redact, tone score, import."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.commands import importing, redact, tone
from feedback.errors import InvalidInputError
from feedback.testing import HashingEmbedder

RUNNER = CliRunner()
APP = typer.Typer()
APP.command("redact")(redact.redact)
APP.command("import")(importing.import_)
APP.add_typer(tone.app, name="tone")


def run(*arguments: str, stdin: str | None = None) -> tuple[list[dict[str, Any]], str]:
    result = RUNNER.invoke(APP, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_redact_reads_stdin_and_gives_spans_of_the_input() -> None:
    text = "Mail eva@example.org"
    rows, errors = run("redact", stdin=json.dumps({"id": 7, "text": text}) + "\n{broken\n")
    assert rows == [
        {
            "id": 7,
            "text": "Mail <EMAIL_ADDRESS_1>",
            "spans": [{"type": "EMAIL_ADDRESS", "start": 5, "end": len(text)}],
        }
    ]
    assert "stdin:2:" in errors
    again, _ = run("redact", stdin=json.dumps({"id": 7, "text": rows[0]["text"]}))
    assert again == [{"id": 7, "text": rows[0]["text"], "spans": []}]


def test_redact_passes_on_half_a_character() -> None:
    rows, _ = run("redact", stdin='{"id": 1, "text": "half \\ud83d of eva@example.org"}')
    assert rows[0]["text"] == "half \ud83d of <EMAIL_ADDRESS_1>"


def test_redact_numbers_by_thread_and_knows_given_names(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Zyxia Varblane\n")
    users = [{"id": "U1", "real_name": "Zyxia Varblane"}]
    (tmp_path / "users.json").write_text(json.dumps({"members": users}))
    (tmp_path / "in.jsonl").write_text(
        "\n".join(
            json.dumps({"id": i, "text": text, "thread_id": "t"})
            for i, text in enumerate(["zyxia and Peter Smith", "Peter Smith and zyxia varblane"])
        )
    )
    source = str(tmp_path / "in.jsonl")
    for names, input_ in (("names.txt", [source]), ("users.json", ["--input", source])):
        rows, _ = run("redact", *input_, "--names", str(tmp_path / names))
        assert [row["text"] for row in rows] == [
            "<PERSON_1> and <PERSON_2>",
            "<PERSON_2> and <PERSON_1>",
        ]


@pytest.mark.parametrize(
    ("content", "complaint"), [("{broken", "neither"), ("5", "list of Slack users"), (None, "read")]
)
def test_redact_refuses_a_bad_directory(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    file = tmp_path / "users.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInputError, match=complaint):
        redact.read_directory(file)


@pytest.mark.parametrize("command", [("redact",), ("tone", "score")])
@pytest.mark.parametrize("row", ['{"id": 1}', '{"text": "x"}', '{"id": 1, "text": 5}', ""])
def test_input_without_a_usable_row_is_refused(command: tuple[str, ...], row: str) -> None:
    with pytest.raises(InvalidInputError, match="no usable row"):
        run(*command, stdin=row)


def test_tone_score_points_at_violations() -> None:
    text = "Happy to help! Sorry, it is late. Just ask if you need more."
    rows, _ = run("tone", "score", stdin=json.dumps({"id": "a", "text": text}))
    (row,) = rows
    assert (row["id"], row["on_brand"], row["passed"]) == ("a", 0.25, False)
    (violation,) = row["violations"]
    assert violation["rule"] == "apology"
    assert text[violation["start"] : violation["end"]] == "Sorry"


def test_tone_score_takes_another_style(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text("{extends: existence, level: error, tokens: [nope]}")
    rows, _ = run("tone", "score", "--style", str(tmp_path), stdin='{"id": 1, "text": "nope"}')
    assert rows[0]["on_brand"] == 0.25
    with pytest.raises(InvalidInputError, match="does not exist"):
        run("tone", "score", "--style", str(tmp_path / "x"), stdin='{"id": 1, "text": "nope"}')


def test_import_writes_rows_and_prints_counts(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(
        '{"id": 1, "question": "q of eva@example.org", "draft_answer": "a", "final_answer": "b"}\n'
        '{"id": 2}\n'
    )
    out = tmp_path / "out.jsonl"
    (counts,), errors = run("import", str(source), "--out", str(out))
    assert (counts["records"], counts["corrections"], counts["bad"]) == (1, 1, 1)
    assert counts["redacted"] == {"EMAIL_ADDRESS": 1}
    assert f"{source}:2: no question" in errors
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {
            "id": "1",
            "thread_id": "1",
            "user_id": "unknown",
            "ts": 0.0,
            "question": "q of <EMAIL_ADDRESS_1>",
            "answer": "a",
            "correction": "b",
        }
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
    with pytest.raises(InvalidInputError, match="cannot write"):
        run("import", str(source), "--out", str(tmp_path / "no" / "out.jsonl"))


def test_tone_learns_from_tags_and_judges_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.offline.offline_embedder", HashingEmbedder)
    tags, scorer = tmp_path / "tags.jsonl", tmp_path / "scorer.json"
    said = ["Thank you, it is in drawer {}.", "it is in drawer {}, read it"]
    tags.write_text(
        "\n".join(
            json.dumps({"text": said[n % 2].format(n), "on_brand": n % 2 == 0}) for n in range(60)
        )
    )
    (told,), _ = run("tone", "learn", "--input", str(tags), "--out", str(scorer))
    assert (told["labels"], told["auc"]) == (60, 1.0)
    (tmp_path / "rule.yml").write_text("extends: existence\ntokens: [nope]\nlevel: error\n")
    style = ["--style", str(tmp_path / "rule.yml"), "--scorer", str(scorer)]
    answers = [
        {"id": "warm", "text": said[0].format(99)},
        {"id": "cold", "text": said[1].format(99)},
    ]
    rows, _ = run("tone", "score", *style, stdin="\n".join(map(json.dumps, answers)))
    assert {row["id"]: row["passed"] for row in rows} == {"warm": True, "cold": False}
    assert rows[0]["learnt"] > told["threshold"] > rows[1]["learnt"]


def test_a_file_that_is_no_scorer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scorer.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="no learnt tone scorer"):
        run(
            "tone", "score", "--scorer", str(tmp_path / "scorer.json"),
            stdin='{"id": 1, "text": "a"}',
        )  # fmt: skip
