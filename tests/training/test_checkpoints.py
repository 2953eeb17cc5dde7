import json
from pathlib import Path

import pytest

from retrain.training.checkpoints import is_complete, newest_complete

PARTS = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")


def checkpoint(folder: Path, step: int, recorded: int | None = None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for part in PARTS:
        (path / part).write_bytes(b"x")
    (path / "trainer_state.json").write_text(json.dumps({"global_step": recorded or step}))
    return path


def test_the_newest_is_chosen_by_number_not_by_name(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9)
    newest = checkpoint(tmp_path, 10)

    assert newest_complete(tmp_path) == newest


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    assert newest_complete(tmp_path) is None


@pytest.mark.parametrize("part", [*PARTS, "trainer_state.json"])
@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_checkpoint_that_lacks_a_part_is_skipped_and_deleted(
    tmp_path: Path, part: str, damage: str
) -> None:
    whole, broken = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    if damage == "missing":
        (broken / part).unlink()
    else:
        (broken / part).write_bytes(b"")

    assert newest_complete(tmp_path) == whole
    assert not broken.exists()


def test_a_state_of_another_step_is_not_trusted(tmp_path: Path) -> None:
    assert not is_complete(checkpoint(tmp_path, 4, recorded=2))
