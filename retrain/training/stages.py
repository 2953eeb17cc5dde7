"""What the two stages of a run have in common: a trainer, its arguments, and running it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import transformers

from retrain.training.checkpoints import newest_complete, step_of
from retrain.training.monitor import Monitor
from retrain.training.ranks import world_size
from retrain.training.spec import QloraRecipe


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A trainer that is ready to start.

    Attributes:
        folder: Its checkpoints.
        lengths: Tokens of each row, in the order of the stage.
        rows_per_step: Rows of a step, over all micro-batches and workers.
    """

    trainer: Any  # trl's trainers: their attributes are unions that no call site can narrow
    folder: Path
    lengths: tuple[int, ...]
    rows_per_step: int


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """A stage that is done.

    Attributes:
        losses: `(step, loss)` of what this process logged, counted over the whole run.
        tokens: Trained on in this process.
        resumed_from: Step at which this process went on, counted over the whole run.
    """

    steps: int
    stopped_early: bool
    trained_parameters: int
    losses: tuple[tuple[int, float], ...] = ()
    tokens: int = 0
    resumed_from: int = 0

    def to_row(self) -> dict[str, Any]:
        """Returns what a later process has to know of it, as JSON values."""
        return {
            "steps": self.steps,
            "stopped_early": self.stopped_early,
            "trained_parameters": self.trained_parameters,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Parses what `to_row` made: an earlier process did all of it."""
        return cls(**row, resumed_from=int(row["steps"]))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file of `to_row`."""
        return cls.from_row(json.loads(path.read_text(encoding="utf-8")))


def run_stage(stage: Stage, monitor: Monitor, before: int = 0) -> StageOutcome:
    """Trains a stage to its end, from its newest whole checkpoint when there is one.

    Args:
        stage: What to train.
        monitor: Watches it.
        before: Steps of earlier stages.

    Raises:
        TrainingFailedError: When the loss is not a number or grew.
    """
    trainer = stage.trainer
    checkpoint = newest_complete(stage.folder)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(monitor)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    monitor.require_finite(trainer.model)
    steps = int(trainer.state.global_step)
    return StageOutcome(
        steps=steps,
        stopped_early=steps < int(trainer.state.max_steps),
        trained_parameters=sum(p.numel() for p in trainable(trainer.model)),
        losses=tuple(monitor.losses),
        tokens=monitor.tokens,
        resumed_from=before + step_of(checkpoint) if checkpoint else 0,
    )


def trainer_arguments(
    recipe: QloraRecipe, folder: Path, *, micro_batch: int, accumulation: int
) -> dict[str, Any]:
    """Returns what both trainers are told.

    Args:
        recipe: Of the run.
        folder: Receives checkpoints.
        micro_batch: Rows at once, on all workers together.
        accumulation: Micro-batches a step.
    """
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(folder),
        "num_train_epochs": 1,  # the order already holds every epoch
        "max_steps": recipe.max_steps or -1,
        "train_sampling_strategy": "sequential",
        # Workers take turns with the order's rows, so that together they see each batch as it is.
        "per_device_train_batch_size": micro_batch // world_size(),
        "gradient_accumulation_steps": accumulation,
        "lr_scheduler_type": "cosine",
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": recipe.optimizer,
        "max_length": recipe.max_length,
        "activation_checkpointing": recipe.activation_checkpointing,
        "bf16": recipe.compute_dtype == "bfloat16",
        "fp16": recipe.compute_dtype == "float16",
        "use_cpu": not on_gpu,
        "ddp_backend": None if on_gpu or world_size() == 1 else "gloo",
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": on_gpu,
        # Batches hold rows of like length, and short ones are easy: single ones tell little.
        "logging_steps": 5,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if recipe.save_every else "no",
        "save_steps": recipe.save_every or 500,
        "save_total_limit": 2,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "report_to": "none",
        "disable_tqdm": True,
    }


def trainable(model: Any) -> list[torch.nn.Parameter]:  # noqa: ANN401  (a PeftModel)
    """Returns the weights that are trained."""
    return [p for p in model.parameters() if p.requires_grad]
