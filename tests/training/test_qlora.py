import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from feedback.errors import ConfigurationError, TrainingFailedError
from feedback.ports import Message
from retrain.base_model import base_model_path
from retrain.inference import BatchGenerator
from retrain.training import (
    CallbackProgress,
    Progress,
    training_command,
    training_environment,
)
from retrain.training.checkpoints import is_complete
from retrain.training.loading import load_quantised
from retrain.training.qlora import train_adapter
from tests.training.conftest import REAL_RUN, MakeSpec

pytestmark = REAL_RUN

RECORDED_LOSSES = [(5, 2.524), (10, 3.523), (15, 1.958), (20, 1.243)]
"""Of the packaged base, seed 0. Change them only together with the base or the recipe."""


def test_a_run_gives_the_recorded_losses_and_two_files(make_spec: MakeSpec) -> None:
    seen: list[Progress] = []
    spec = make_spec()

    result = train_adapter(spec, CallbackProgress(seen.append))

    assert [step for step, _ in result.losses] == [step for step, _ in RECORDED_LOSSES]
    for (_, loss), (_, recorded) in zip(result.losses, RECORDED_LOSSES, strict=True):
        assert loss == pytest.approx(recorded, abs=0.05)
    assert [(p.step, p.loss) for p in seen] == list(result.losses)
    assert seen[-1].total_steps == result.steps == 24
    assert not result.stopped_early
    assert result.estimated_mb is not None
    assert result.estimated_mb / 2 < result.peak_rss_mb < 4 * result.estimated_mb
    assert sorted(p.name for p in spec.out_dir.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((spec.out_dir / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == spec.base_id
    assert not spec.work_dir.exists()
    with safe_open(spec.out_dir / "adapter_model.safetensors", "pt") as tensors:
        names = list(tensors.keys())
        assert {str(tensors.get_slice(name).get_dtype()) for name in names} == {"F32"}
    assert len(names) == 4 * 7 * 2  # layers, linear layers, A and B
    assert all(name.startswith("base_model.model.model.layers.") for name in names)


def test_the_base_is_really_four_bit_with_double_quantisation() -> None:
    model, _ = load_quantised(base_model_path(), "float32")

    weight = model.model.layers[0].mlp.up_proj.weight
    assert weight.quant_state.quant_type == "nf4"
    assert weight.quant_state.nested


def test_killed_and_resumed_equals_straight(make_spec: MakeSpec) -> None:
    straight = train_adapter(make_spec("straight", save_every=4, dropout=0.1))
    spec = make_spec("killed", save_every=4, dropout=0.1)
    folder = spec.dataset_dir
    (folder / "spec.json").write_text(json.dumps(spec.to_row()))
    command = [*training_command(), "--spec", str(folder / "spec.json")]
    environment = {**os.environ, **training_environment(threads=1)}

    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while not is_complete(spec.work_dir / "checkpoint-8"):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "result.json").exists()
    assert not spec.out_dir.exists()
    # What a kill in the middle of a save leaves behind.
    (spec.work_dir / "checkpoint-99").mkdir()

    finished = subprocess.run(command, env=environment, check=False)

    assert finished.returncode == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["resumed_from"] >= 8
    assert result["sha256"] == straight.sha256
    assert (folder / "progress.jsonl").read_text().count("\n") >= 1


def test_a_checkpoint_of_other_rows_is_not_continued(make_spec: MakeSpec) -> None:
    spec = make_spec("first", save_every=2, max_steps=2)
    leftover = spec.work_dir / "checkpoint-2"
    leftover.mkdir(parents=True)
    (spec.work_dir / "run.json").write_text('{"spec": "another"}')

    result = train_adapter(spec)

    assert result.resumed_from == 0
    assert result.steps == 2


def test_a_diverging_run_fails_with_the_reason_and_publishes_nothing(make_spec: MakeSpec) -> None:
    spec = make_spec("hot", learning_rate=1e3, warmup_steps=0)

    with pytest.raises(TrainingFailedError, match="learning rate"):
        train_adapter(spec)

    assert not spec.out_dir.exists()


def test_a_run_that_cannot_fit_is_refused_with_the_numbers(make_spec: MakeSpec) -> None:
    spec = make_spec("large", batch_size=10**8)

    with pytest.raises(
        ConfigurationError, match=r"needs about \d+\.\d GiB of CPU memory .*batch_size"
    ):
        train_adapter(spec)

    assert not spec.work_dir.exists()


def test_a_watched_run_stops_when_the_loss_of_unseen_rows_rises(make_spec: MakeSpec) -> None:
    seen: list[Progress] = []
    recipe = {"watch_share": 0.3, "patience": 1, "save_every": 5, "epochs": 40}
    spec = make_spec("watched", **recipe, learning_rate=2e-2)

    result = train_adapter(spec, CallbackProgress(seen.append))

    assert result.stopped_early
    assert result.steps < seen[-1].total_steps
    assert seen[0].watched_loss is None
    assert seen[-1].watched_loss is not None
    assert (spec.out_dir / "adapter_model.safetensors").exists()


def test_a_folder_that_is_no_model_is_a_configuration_error(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(ConfigurationError, match="cannot load the base model"):
        train_adapter(replace(make_spec(), base_dir=empty))


def test_a_full_disk_is_told_before_any_step(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000_000})())

    with pytest.raises(ConfigurationError, match="1 MB free"):
        train_adapter(make_spec())


def test_the_process_reports_unusable_input(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    command = [*training_command(), "--spec", str(tmp_path / "spec.json")]

    finished = subprocess.run(
        command, env={**os.environ, **training_environment(threads=1)}, check=False
    )

    assert finished.returncode == 2
    assert "lacks" in json.loads((tmp_path / "error.json").read_text())["error"]


def test_an_adapter_changes_answers_and_the_base_stays(make_spec: MakeSpec) -> None:
    spec = make_spec("voice", epochs=12, learning_rate=5e-3)
    train_adapter(spec)
    prompt = [[Message(role="user", content="Context: Tea is hot.\nQuestion: What is hot?")]]
    before = BatchGenerator(spec.base_dir).generate(prompt)

    after = BatchGenerator(spec.base_dir, spec.out_dir).generate(prompt)

    assert after != before
    assert BatchGenerator(spec.base_dir).generate(prompt) == before
