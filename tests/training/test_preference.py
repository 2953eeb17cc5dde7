import json
import os
import signal
import subprocess
import time
from pathlib import Path

from safetensors.torch import load_file

from retrain.training import (
    CallbackProgress,
    PreferenceRecipe,
    Progress,
    QloraRecipe,
    TrainingSpec,
    training_command,
    training_environment,
)
from retrain.training.checkpoints import is_complete
from retrain.training.preference import plan_preference, planned_steps, preference_stage
from retrain.training.qlora import train_adapter
from retrain.training.rows import read_rows
from tests.training.conftest import REAL_RUN, MakeSpec

SHORT = {"epochs": 1, "batch_size": 4, "save_every": 2, "dropout": 0.1}
SECOND = PreferenceRecipe(min_pairs=16)


def in_words(row: object) -> tuple[str, str]:
    assert isinstance(row, dict)
    return row["chosen"][0]["content"], row["rejected"][0]["content"]


def test_a_plan_has_pairs_and_as_much_replay_as_the_data_set(make_spec: MakeSpec) -> None:
    spec = make_spec(preference=SECOND)
    text = read_rows(spec.dataset_dir)
    plan = plan_preference(spec.recipe, text)
    sides = [in_words(row) for row in plan.rows]
    assert plan.pairs == sum(chosen != rejected for chosen, rejected in sides) == 16
    assert sum(chosen == rejected for chosen, rejected in sides) == 16
    assert plan.rows == plan_preference(spec.recipe, text).rows
    assert planned_steps(spec.recipe, plan) == 4


def test_too_few_pairs_leave_the_stage_out_with_the_numbers(make_spec: MakeSpec) -> None:
    spec = make_spec(preference=PreferenceRecipe(min_pairs=17))
    plan = plan_preference(spec.recipe, read_rows(spec.dataset_dir))
    assert plan.rows == ()
    assert plan.skipped == "16 corrections have a wrong answer beside them, and 17 are needed"


def test_nothing_is_planned_that_nobody_asked_for(make_spec: MakeSpec) -> None:
    spec = make_spec()
    plan = plan_preference(QloraRecipe(), read_rows(spec.dataset_dir))
    assert (plan.rows, plan.pairs, plan.skipped) == ((), 0, "")


class TestTraining:
    pytestmark = REAL_RUN

    def test_a_stage_that_is_left_out_changes_nothing_and_says_why(
        self, make_spec: MakeSpec
    ) -> None:
        plain = train_adapter(make_spec("plain", max_steps=1))
        few = train_adapter(
            make_spec("few", max_steps=1, preference=PreferenceRecipe(min_pairs=99))
        )
        assert few.sha256 == plain.sha256
        assert few.second_stage == (
            "left out: 16 corrections have a wrong answer beside them, and 99 are needed"
        )
        assert plain.second_stage == ""

    def test_killed_in_the_second_stage_equals_straight(self, make_spec: MakeSpec) -> None:
        seen: list[Progress] = []
        straight = train_adapter(
            make_spec("straight", **SHORT, preference=SECOND), CallbackProgress(seen.append)
        )
        assert (straight.steps, straight.preference_steps) == (16, 8)
        assert straight.resumed_from == 0
        assert straight.second_stage == "8 steps on 16 pairs"
        assert [(p.stage, p.step, p.total_steps) for p in seen] == [
            ("examples", 5, 16),
            ("preferences", 13, 16),
        ]

        spec = make_spec("killed", **SHORT, preference=SECOND)
        killed = killed_in(spec, spec.work_dir / "preference")
        assert killed == -signal.SIGKILL
        assert not spec.out_dir.exists()
        (spec.work_dir / "preference" / "checkpoint-99").mkdir()  # a kill in the middle of a save
        resumed = train_adapter(spec)
        assert resumed.resumed_from >= 10
        assert resumed.sha256 == straight.sha256
        assert sorted(path.name for path in spec.out_dir.iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
        ]
        assert not spec.work_dir.exists()

    def test_the_second_stage_begins_exactly_where_the_first_ended(
        self, make_spec: MakeSpec
    ) -> None:
        spec = make_spec("first", epochs=1, max_steps=2)
        train_adapter(spec)
        second = make_spec("second", preference=SECOND)
        plan = plan_preference(second.recipe, read_rows(second.dataset_dir))
        stage = preference_stage(second, plan, spec.out_dir, second.work_dir)
        begun = {
            name.replace(".default", ""): parameter
            for name, parameter in stage.trainer.model.named_parameters()
            if ".default." in name
        }
        left = load_file(spec.out_dir / "adapter_model.safetensors")
        assert begun.keys() == left.keys()
        assert all(begun[name].equal(left[name]) for name in left)


def killed_in(spec: TrainingSpec, folder: Path) -> int:
    """Trains in a process of its own and kills it once a whole checkpoint is in the folder."""
    path = spec.dataset_dir / "spec.json"
    path.write_text(json.dumps(spec.to_row()))
    process = subprocess.Popen(
        [*training_command(), "--spec", str(path)],
        env={**os.environ, **training_environment(threads=1)},
    )
    deadline = time.monotonic() + 120
    while not any(is_complete(checkpoint) for checkpoint in folder.glob("checkpoint-*")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()
