import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.commands.dataset import app
from feedback.errors import ConflictError, InvalidInputError, NotFoundError
from retrain.dataset import read_holdout, read_manifest, read_train
from tests.unit.dataset.samples import distinct_records


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def build(source: Path, out: Path, *more: object) -> dict[str, Any]:
    result = run("build", "--input", source, "--out", out, "--no-vectors", *more)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout.splitlines()[-1]))


def rows_file(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows: list[object] = [
        {"id": r.id, "question": r.question, "answer": r.answer, "correction": r.correction}
        for r in distinct_records(40)
    ]
    bad = [
        {"id": "p", "question": "How?", "answer": "x", "correction": "Go to {{Website Name}}."},
        {"id": "m", "question": "Who?", "answer": "x", "correction": "Mail jo@example.com today."},
        {"id": "n", "answer": "no question"},
    ]
    return rows_file(tmp_path / "in.jsonl", rows + bad)


def test_build_writes_a_version_and_sums_it_up(source: Path, tmp_path: Path) -> None:
    summary = build(source, tmp_path / "v")
    assert summary["written"] is True
    assert summary["bad_rows"] == 1
    assert summary["rejected_by_reason"] == {"placeholder": 1, "privacy": 1}
    assert summary["counts"]["train"] + summary["counts"]["holdout"] == 40
    assert read_manifest(tmp_path / "v")["version"] == summary["version"]
    assert build(source, tmp_path / "v")["written"] is False
    assert build(source, tmp_path / "w")["version"] == summary["version"]


def test_held_out_rows_carry_the_slices_of_their_rows(source: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in source.read_text().splitlines()[:40]]
    for number, row in enumerate(rows):
        row["area"] = ["north", "south"][number % 2]
        row["slices"] = {"tag": ["a", "b"] if number % 4 else []}
    told = rows_file(tmp_path / "told.jsonl", rows)
    build(told, tmp_path / "plain")
    build(told, tmp_path / "sliced", "--slice-by", "area", "--slice-by", "nothing")
    area = {row["id"]: row["area"] for row in rows}
    tags = {row["id"]: [f"tag: {tag}" for tag in row["slices"]["tag"]] for row in rows}
    known = ("passages: without", "source: correction")
    held = read_holdout(tmp_path / "sliced")
    assert held
    for one in held:
        assert one.slices == tuple(sorted((f"area: {area[one.row.id]}", *tags[one.row.id], *known)))
    assert all(
        one.slices == tuple(sorted((*tags[one.row.id], *known)))
        for one in read_holdout(tmp_path / "plain")
    )


def test_keys_of_rows_are_renamed(source: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in source.read_text().splitlines()[:40]]
    for row in rows:
        row["bot_answer"] = row.pop("answer")
    told = rows_file(tmp_path / "told.jsonl", rows)
    assert build(told, tmp_path / "v", "--map", "bot_answer=answer")["bad_rows"] == 0
    wrong = run("build", "--input", told, "--out", tmp_path / "w", "--map", "bot_answer")
    assert isinstance(wrong.exception, InvalidInputError)
    assert "OLD=NEW" in str(wrong.exception)


def test_a_bad_row_is_named_by_its_line(source: Path, tmp_path: Path) -> None:
    result = run("build", "--input", source, "--out", tmp_path / "v", "--no-vectors")
    assert f"{source}:43: 'question' must be text" in result.stderr


def test_replay_previous_style_and_disabled_cleaners(source: Path, tmp_path: Path) -> None:
    first = build(source, tmp_path / "one")
    replay = rows_file(
        tmp_path / "replay.jsonl",
        [{"id": f"g{i}", "question": f"Say {i} again.", "answer": f"{i}"} for i in range(60)],
    )
    style = tmp_path / "opening.yml"
    style.write_text(
        "extends: existence\nmessage: too cold\nlevel: error\ntokens:\n  - press renew\n"
    )
    second = build(
        source,
        tmp_path / "two",
        *("--previous", tmp_path / "one", "--replay", replay, "--replay-share", 0.25),
        *("--style", style, "--disable-cleaner", "placeholder"),
    )
    assert second["rejected_by_reason"]["style"] > 0
    assert "placeholder" not in second["rejected_by_reason"]
    assert second["replay"]["share"] == pytest.approx(0.25, abs=0.02)
    assert first["version"] != second["version"]
    sources = {row.source.value for row in read_train(tmp_path / "two")}
    assert sources == {"correction", "replay"}


def test_show_checks_the_files(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "v")
    assert json.loads(run("show", tmp_path / "v").stdout)["format"] == 1
    (tmp_path / "v" / "train.jsonl").write_text("")
    result = run("show", tmp_path / "v")
    assert isinstance(result.exception, InvalidInputError)


def test_diff_names_rows_figures_and_policy(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "one")
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    rows[0]["correction"] = "Open the other page and press the green button."
    more = [*rows[:-5], {"id": "x", "question": "Who rings?", "answer": "-", "correction": "Ada."}]
    changed = rows_file(tmp_path / "more.jsonl", more)
    build(changed, tmp_path / "two", "--previous", tmp_path / "one", "--disable-cleaner", "length")
    found = json.loads(run("diff", tmp_path / "one", tmp_path / "two").stdout)
    assert found["added"] == ["x"]
    assert found["changed"] == [rows[0]["id"]]
    assert found["removed"] == sorted(row["id"] for row in rows[-5:-3])
    assert found["moved"] == {}
    assert found["figures"]["counts"]["records"] == [42, 39]
    assert found["policy"] == {"disabled_cleaners": [[], ["length"]]}
    same = json.loads(run("diff", tmp_path / "two", tmp_path / "two").stdout)
    assert (same["added"], same["figures"]["counts"], same["policy"]) == ([], {}, {})


def test_lineage_says_where_every_record_went(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "v")
    places = [json.loads(line) for line in run("lineage", tmp_path / "v").stdout.splitlines()]
    by_side = Counter(place["side"] for place in places)
    assert by_side["train"] + by_side["holdout"] == 40
    (out,) = (
        json.loads(x) for x in run("lineage", tmp_path / "v", "--of", "p").stdout.splitlines()
    )
    assert (out["side"], out["reason"]) == ("out", "placeholder")
    first = next(place for place in places if place["side"] == "train")
    (found,) = run(
        "lineage", tmp_path / "v", "--of", first["interaction_ids"][0]
    ).stdout.splitlines()
    assert json.loads(found) == first
    nowhere = run("lineage", tmp_path / "v", "--of", "nobody")
    assert isinstance(nowhere.exception, NotFoundError)


def test_the_consent_mode_is_obeyed_and_recorded(source: Path, tmp_path: Path) -> None:
    summary = build(source, tmp_path / "v", "--train-on", "consenting")
    assert summary["rejected_by_reason"] == {"consent": 42}
    assert read_manifest(tmp_path / "v")["policy"]["train_on"] == "consenting"


def test_unusable_input_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    empty = rows_file(tmp_path / "empty.jsonl", [])
    for source in (empty, tmp_path / "missing.jsonl"):
        result = run("build", "--input", source, "--out", tmp_path / "v", "--no-vectors")
        assert isinstance(result.exception, InvalidInputError)
    assert not (tmp_path / "v").exists()


def test_another_version_in_the_folder_is_kept(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "v")
    arguments = ("--input", source, "--out", tmp_path / "v", "--no-vectors", "--holdout", 0.3)
    result = run("build", *arguments)
    assert isinstance(result.exception, ConflictError)
    assert run("build", *arguments, "--replace").exit_code == 0


@pytest.mark.slow  # loads the embedding model
def test_vectors_keep_paraphrases_on_one_side(tmp_path: Path) -> None:
    # Each pair shares few letters and means the same.
    pairs = {
        "export": ("How do I export a report?", "What is the way to export reports?"),
        "reset": ("How do I reset my password?", "I want to reset the password"),
    }
    rows = [
        {"id": f"{name}{i}", "question": question, "answer": "no", "correction": f"Use {name}."}
        for name, pair in pairs.items()
        for i, question in enumerate(pair)
    ]
    source = rows_file(tmp_path / "in.jsonl", rows)
    result = run("build", "--input", source, "--out", tmp_path / "v")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["split"]["leaks"][0]["cosine"] == 0.8
    lines = (tmp_path / "v" / "splits.jsonl").read_text().splitlines()
    groups = {row["row_id"]: row["group"] for row in map(json.loads, lines)}
    assert groups["export0"] == groups["export1"] != groups["reset0"] == groups["reset1"]
