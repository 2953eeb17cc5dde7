"""The same run on Ray with two CPU workers: `make test-ray`. Not part of the suite: Ray takes
longer to start than the run takes, and is an extra of its own."""

import json
import os
import subprocess

import pytest

from retrain.training import PreferenceRecipe, TrainingSpec, ray_command, training_environment
from retrain.training.qlora import train_adapter
from tests.training.conftest import MakeSpec
from tests.training.test_qlora import RECORDED_LOSSES

pytestmark = pytest.mark.timeout(1800)


def run_on_ray(spec: TrainingSpec, workers: int) -> int:
    path = spec.dataset_dir / "spec.json"
    path.write_text(json.dumps(spec.to_row()))
    finished = subprocess.run(
        [*ray_command(workers), "--spec", str(path)],
        env={**os.environ, **training_environment(threads=1)},
        check=False,
        timeout=900,
    )
    return finished.returncode


def test_two_workers_train_the_same_adapter_as_one_process(make_spec: MakeSpec) -> None:
    spec = make_spec("ray")
    assert run_on_ray(spec, workers=2) == 0
    result = json.loads((spec.dataset_dir / "result.json").read_text())
    assert result["steps"] == 24
    assert [step for step, _ in result["losses"]] == [step for step, _ in RECORDED_LOSSES]
    for (_, loss), (_, recorded) in zip(result["losses"], RECORDED_LOSSES, strict=True):
        assert loss == pytest.approx(recorded, abs=0.05)
    assert sorted(path.name for path in spec.out_dir.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert not spec.work_dir.exists()
    assert (spec.dataset_dir / "progress.jsonl").read_text().count("\n") == len(RECORDED_LOSSES)


def test_two_workers_go_through_both_stages(make_spec: MakeSpec) -> None:
    second = PreferenceRecipe(min_pairs=16, epochs=2)
    alone = train_adapter(make_spec("alone", epochs=2, preference=second))
    spec = make_spec("ray", epochs=2, preference=second)
    assert run_on_ray(spec, workers=2) == 0
    result = json.loads((spec.dataset_dir / "result.json").read_text())
    assert (result["steps"], result["preference_steps"]) == (16, 8)
    for (step, loss), (other, recorded) in zip(result["losses"], alone.losses, strict=True):
        assert step == other
        # trl averages a second stage's supervised term over each worker's tokens.
        assert loss == pytest.approx(recorded, abs=0.05 if step <= 8 else 0.15)


def test_what_cannot_be_mended_by_starting_again_is_written_down(make_spec: MakeSpec) -> None:
    diverging = make_spec("hot", learning_rate=1e3, warmup_steps=0)
    assert run_on_ray(diverging, workers=2) == 3
    error = json.loads((diverging.dataset_dir / "error.json").read_text())
    assert "learning rate" in error["error"]
    odd = make_spec("odd", batch_size=7)
    assert run_on_ray(odd, workers=2) == 2
