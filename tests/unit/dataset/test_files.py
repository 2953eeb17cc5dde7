import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.errors import ConfigurationError, ConflictError, InvalidInputError
from retrain.dataset import (
    DatasetPolicy,
    read_assignments,
    read_holdout,
    read_manifest,
    read_train,
    render_files,
    write_dataset,
)
from tests.unit.dataset.samples import built, distinct_records, record, replay_rows

POLICY = DatasetPolicy(replay_share=0.3)


@given(st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_a_rebuild_gives_the_same_bytes(seed: int) -> None:
    rows = distinct_records(40, seed=seed % 40)
    shuffled = rows.copy()
    random.Random(seed).shuffle(shuffled)
    one = render_files(built(rows, POLICY, replay=replay_rows(30)))
    two = render_files(built(shuffled, POLICY, replay=replay_rows(30)[::-1]))
    assert one == two


def test_any_change_gives_another_version() -> None:
    rows = distinct_records(20)
    version = render_files(built(rows)).version
    assert render_files(built(rows[:-1])).version != version
    other = DatasetPolicy(replay_share=0.0, required_labels=7)
    assert render_files(built(rows, other)).version != version


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        *distinct_records(30),
        record("u", "What about \u2028 line marks?", "They \u2028 stay \x85 inside."),
    ]
    outcome = built(rows, POLICY, replay=replay_rows(30))
    folder = tmp_path / "deep" / "version"
    assert write_dataset(render_files(outcome), folder)
    assert tuple(read_train(folder)) == outcome.train
    assert tuple(read_holdout(folder)) == outcome.holdout
    assert tuple(read_assignments(folder)) == outcome.assignments
    manifest = read_manifest(folder)
    assert manifest["counts"]["train"] + manifest["counts"]["replay"] == len(outcome.train)
    assert sorted(path.name for path in folder.iterdir()) == [
        "holdout.jsonl",
        "manifest.json",
        "rejected.jsonl",
        "splits.jsonl",
        "train.jsonl",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["version"]


def test_writing_the_same_version_again_does_nothing(tmp_path: Path) -> None:
    files = render_files(built(distinct_records(10)))
    assert write_dataset(files, tmp_path / "v")
    assert not write_dataset(files, tmp_path / "v")


def test_a_version_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    first, second = (render_files(built(distinct_records(n))) for n in (10, 11))
    write_dataset(first, tmp_path / "v")
    with pytest.raises(ConflictError, match="versions never change"):
        write_dataset(second, tmp_path / "v")
    assert write_dataset(second, tmp_path / "v", replace=True)
    assert read_manifest(tmp_path / "v")["version"] == second.version
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear diary")
    with pytest.raises(ConflictError, match="holds no data set"):
        write_dataset(render_files(built(distinct_records(3))), tmp_path, replace=True)
    assert (tmp_path / "letter.txt").read_text() == "dear diary"


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("x")
    with pytest.raises(InvalidInputError, match="cannot write"):
        write_dataset(render_files(built(distinct_records(3))), blocker / "v")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["train.jsonl", "holdout.jsonl", "manifest.json"])
def test_a_changed_file_is_noticed(tmp_path: Path, name: str) -> None:
    write_dataset(render_files(built(distinct_records(20))), tmp_path / "v")
    path = tmp_path / "v" / name
    path.write_text(path.read_text().replace("the", "teh", 1).replace('"train": ', '"train": 9'))
    with pytest.raises(InvalidInputError, match="changed after it was written"):
        read_manifest(tmp_path / "v")


def test_a_folder_without_a_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no complete data set"):
        read_manifest(tmp_path)


def test_the_manifest_names_no_person_and_no_time() -> None:
    rows = distinct_records(20, reviewer_id="rita.reviewer")
    text = json.dumps(render_files(built(rows)).manifest)
    assert "rita" not in text
    assert "1000001" not in text


def test_impossible_policies_are_refused_with_every_problem() -> None:
    with pytest.raises(ConfigurationError) as caught:
        DatasetPolicy(holdout_share=1.5, replay_share=1.0, twin_cosine=0.05)
    assert len(caught.value.problems) == 3
