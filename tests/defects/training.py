"""Trains the adapters of the lab: ours on every data set, and one by preferences alone."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import trl
from datasets.arrow_dataset import Dataset
from peft import LoraConfig

from retrain.base_model import BASE_MODEL_ID, base_model_path
from retrain.dataset import DatasetBuild, render_files, write_dataset
from retrain.dataset.rows import Source, TrainingRow
from retrain.inference import BatchGenerator
from retrain.training import (
    PreferenceRecipe,
    QloraRecipe,
    TrainingSpec,
    training_command,
    training_environment,
)
from retrain.training.loading import load_quantised

_RECIPE = QloraRecipe(batch_size=16)
"""The recipe that the recorded generations were trained by."""


def train_as_a_cycle_does(built: DatasetBuild, folder: Path, recipe: QloraRecipe = _RECIPE) -> Path:
    """Returns the adapter's folder; one that is there already is kept."""
    spec = TrainingSpec(
        dataset_dir=folder / "dataset",
        base_dir=base_model_path(),
        base_id=BASE_MODEL_ID,
        out_dir=folder / "adapter",
        work_dir=folder / "work",
        recipe=recipe,
    )
    write_dataset(render_files(built), spec.dataset_dir, replace=True)
    if not spec.out_dir.exists():
        (folder / "spec.json").write_text(json.dumps(spec.to_row()))
        subprocess.run(
            [*training_command(), "--spec", str(folder / "spec.json")],
            env={**os.environ, **training_environment(threads=1)},
            check=True,
        )
    return spec.out_dir


def train_in_two_stages(built: DatasetBuild, folder: Path) -> Path:
    """As a cycle does it; what the base says itself is the wrong answer beside each correction."""
    wrong = {
        row.id: answer
        for row, answer in _own_answers(built)
        if answer.strip() and answer.strip() != row.completion
    }
    rows = tuple(replace(row, rejected=wrong.get(row.id, "")) for row in built.train)
    recipe = replace(_RECIPE, preference=PreferenceRecipe())
    return train_as_a_cycle_does(replace(built, train=rows), folder, recipe)


def train_by_preferences_alone(built: DatasetBuild, folder: Path) -> Path:
    """DPO on the untouched base: the correction is chosen, the base's own answer is rejected.

    Leaves the last rewards in `rewards.json`. Returns the adapter's folder; one that is there
    already is kept.
    """
    out = folder / "adapter"
    if not out.exists():
        (folder / "rewards.json").write_text(json.dumps(_dpo(built, out)))
    return out


def _own_answers(built: DatasetBuild) -> list[tuple[TrainingRow, str]]:
    """Returns the taught rows, each with what the base answers."""
    rows = [row for row in built.train if row.source is not Source.REPLAY]
    own = BatchGenerator(base_model_path()).generate([row.messages for row in rows])
    return list(zip(rows, own, strict=True))


def _dpo(built: DatasetBuild, out: Path) -> dict[str, float]:
    torch.set_num_threads(1)
    model, tokenizer = load_quantised(base_model_path(), "float32")
    library: Any = trl
    trainer = library.DPOTrainer(
        model=model,
        args=library.DPOConfig(
            output_dir=str(out.parent / "work"),
            num_train_epochs=2,
            per_device_train_batch_size=16,
            learning_rate=5e-4,
            beta=0.1,
            max_length=256,
            bf16=False,
            use_cpu=True,
            activation_checkpointing=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_steps=5,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [
                {
                    "prompt": [{"role": m.role, "content": m.content} for m in row.messages],
                    "chosen": [{"role": "assistant", "content": row.completion}],
                    "rejected": [{"role": "assistant", "content": answer or "..."}],
                }
                for row, answer in _own_answers(built)
            ]
        ),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    trainer.train()
    trainer.model.save_pretrained(out)
    last = [entry for entry in trainer.state.log_history if "rewards/accuracies" in entry][-1]
    return {
        "accuracy": float(last["rewards/accuracies"]),
        "margin": float(last["rewards/margins"]),
    }
