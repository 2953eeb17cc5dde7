"""`understudy experiment replay`, on files."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.commands.experiment import app
from feedback.errors import InvalidInputError
from tests.unit.experiments.company import Company

Row = dict[str, Any]


def write(path: Path, rows: list[Row], *extra: str) -> str:
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join([*lines, *extra]) + "\n")
    return str(path)


def run(*arguments: str) -> tuple[list[Row], str]:
    result = CliRunner().invoke(app, ["replay", *arguments])
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return Company(days=4, per_day=60).rows()


def test_one_object_with_the_documented_keys(rows: list[Row], tmp_path: Path) -> None:
    (decision,), problems = run("--input", write(tmp_path / "e.jsonl", rows))
    assert {"decision", "ts", "day", "evidence", "counts", "waiting_for"} <= set(decision)
    evidence = decision["evidence"]
    assert {"primary", "harm", "guardrails", "srm", "futility"} <= set(evidence)
    assert set(evidence["guardrails"]) == {"tone", "ground", "error", "slow", "undelivered"}
    assert decision["decision"] == "NONE"
    assert decision["day"] == pytest.approx(4.0)
    assert decision["counts"]["champion"]["assigned"] > 0
    assert problems == ""


def test_every_prints_what_each_prefix_would(rows: list[Row], tmp_path: Path) -> None:
    every, _ = run("--every", "--input", write(tmp_path / "e.jsonl", rows))
    assert len(every) == len(rows)
    for length in (1, 2, len(rows) // 2, len(rows)):
        (alone,), _ = run("--input", write(tmp_path / "p.jsonl", rows[:length]))
        assert alone == every[length - 1]


def test_arrival_order_and_duplicates_change_nothing(rows: list[Row], tmp_path: Path) -> None:
    (plain,), _ = run("--input", write(tmp_path / "e.jsonl", rows))
    twice = [*rows, *rows[::3]]
    random.Random(5).shuffle(twice)
    (shuffled,), _ = run("--input", write(tmp_path / "s.jsonl", twice))
    assert shuffled == plain


def test_bad_rows_are_named_by_line_and_skipped(rows: list[Row], tmp_path: Path) -> None:
    source = write(tmp_path / "e.jsonl", rows, "{broken", '{"id": "z", "seq": 1.5}')
    (decision,), problems = run("--input", source)
    (plain,), _ = run("--input", write(tmp_path / "p.jsonl", rows))
    assert decision == plain
    assert f"{source}:{len(rows) + 1}:" in problems
    assert f"{source}:{len(rows) + 2}: type None" in problems


def test_unusable_input_is_refused(rows: list[Row], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        run("--input", str(tmp_path / "missing.jsonl"))
    with pytest.raises(InvalidInputError, match="no usable row"):
        run("--input", write(tmp_path / "empty.jsonl", []))
    with pytest.raises(InvalidInputError, match="exactly one event of type experiment, found 0"):
        run("--input", write(tmp_path / "headless.jsonl", rows[1:]))


def test_an_unknown_constant_is_refused_or_named(rows: list[Row], tmp_path: Path) -> None:
    odd = [rows[0] | {"policy": {"p_hist": 0.7, "speed": 3}}, *rows[1:]]
    source = write(tmp_path / "odd.jsonl", odd)
    with pytest.raises(InvalidInputError, match="exactly one event"):
        run("--strict", "--input", source)
    (decision,), problems = run("--input", source)
    (plain,), _ = run("--input", write(tmp_path / "e.jsonl", rows))
    assert decision == plain
    assert "policy key 'speed' is unknown and left out" in problems


def test_standard_input(rows: list[Row]) -> None:
    text = "\n".join(json.dumps(row) for row in rows)
    result = CliRunner().invoke(app, ["replay"], input=text)
    assert json.loads(result.stdout)["decision"] == "NONE"
