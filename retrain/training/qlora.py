"""One real QLoRA run: bitsandbytes NF4 with double quantisation, peft LoRA, trl's trainers.

The order of rows is fixed in advance (`training_order`) and LoRA tensors are float32, so that a run
that was killed and resumed ends with the same bytes as one that was not. A second stage begins at
the files that the first one left, also in a run that nobody kills.
"""

import gc
import json
import resource
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets.arrow_dataset import Dataset
from datasets.utils.tqdm import disable_progress_bars
from peft import LoraConfig
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from feedback.errors import ConfigurationError
from retrain.jobs.files import write_json
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.training.checkpoints import newest_complete
from retrain.training.loading import load_quantised, load_tokenizer
from retrain.training.monitor import Monitor
from retrain.training.preference import (
    PreferencePlan,
    plan_preference,
    planned_steps,
    preference_stage,
)
from retrain.training.preflight import Estimate, Shape, estimate, measure_speed
from retrain.training.progress import NoProgress, ProgressSink
from retrain.training.publish import require_space, write_adapter
from retrain.training.ranks import rank, wait_for_all
from retrain.training.rows import TrainingText, read_rows, training_order
from retrain.training.spec import QloraRecipe, TrainingResult, TrainingSpec
from retrain.training.stages import Stage, StageOutcome, run_stage, trainable, trainer_arguments

_LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")
# In the working folder, of a run with two stages.
_TAUGHT, _FIRST, _SECOND = "taught", "first.json", "preference"


def train_adapter(spec: TrainingSpec, sink: ProgressSink | None = None) -> TrainingResult:
    """Trains one adapter, continuing an interrupted run of the same spec.

    Args:
        spec: What to train on what; `out_dir` receives adapter_config.json and
            adapter_model.safetensors, all at once, when the run is done.
        sink: Gets progress about every five steps.

    Returns:
        What was made and what it cost.

    Raises:
        InvalidInputError: The data set or the spec is unusable.
        ConfigurationError: The base folder is unusable, or the disk is full.
        TrainingFailedError: The loss is not a number or grew.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    _quiet(spec.recipe.threads)
    text = read_rows(spec.dataset_dir)
    require_space(spec.work_dir, _wanted_bytes(spec))
    trained, watched = text.watched(spec.recipe.watch_share, spec.recipe.seed)
    plan = plan_preference(spec.recipe, trained)
    expected = _preflight(spec, text, plan)
    if rank() == 0:
        _prepare_work_dir(spec)
    wait_for_all()
    done = _stages(spec, trained, watched, plan, sink or NoProgress())
    last = done[-1]
    if rank() == 0:
        shutil.rmtree(spec.work_dir, ignore_errors=True)
    wait_for_all()
    return TrainingResult(
        adapter_dir=spec.out_dir,
        sha256=file_sha256(spec.out_dir / WEIGHTS),
        steps=sum(stage.steps for stage in done),
        losses=tuple(point for stage in done for point in stage.losses),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        peak_gpu_mb=torch.cuda.max_memory_allocated() / 2**20
        if torch.cuda.is_available()
        else None,
        tokens=sum(stage.tokens for stage in done),
        rows=len(text.rows),
        trained_parameters=last.trained_parameters,
        resumed_from=max(stage.resumed_from for stage in done),
        versions={name: version(name) for name in _LIBRARIES},
        stopped_early=done[0].stopped_early,
        estimated_mb=expected.needed / 2**20 if expected else None,
        estimated_seconds=expected.seconds if expected else None,
        preference_pairs=plan.pairs,
        preference_steps=sum(stage.steps for stage in done[1:]),
        preference_skipped=plan.skipped,
    )


def _stages(
    spec: TrainingSpec,
    trained: TrainingText,
    watched: TrainingText,
    plan: PreferencePlan,
    sink: ProgressSink,
) -> list[StageOutcome]:
    """Runs one stage or both; the last one leaves the adapter."""
    later = planned_steps(spec.recipe, plan)
    if not plan.rows:
        stage = _first_stage(spec, trained, watched)
        return [_through(spec, stage, _monitor(stage, sink), spec.out_dir)]
    taught, noted = spec.work_dir / _TAUGHT, spec.work_dir / _FIRST
    if taught.exists():
        first = StageOutcome.read(noted)
    else:
        stage = _first_stage(spec, trained, watched)
        # The note comes first: where there is an adapter, there is one.
        first = _through(spec, stage, _monitor(stage, sink, after=later), taught, noted)
        del stage
    _make_room(spec.work_dir)
    stage = preference_stage(spec, plan, taught, spec.work_dir / _SECOND)
    monitor = _monitor(stage, sink, before=first.steps)
    second = _through(spec, stage, monitor, spec.out_dir, before=first.steps)
    return [first, second]


def _through(
    spec: TrainingSpec,
    stage: Stage,
    monitor: Monitor,
    out_dir: Path,
    note: Path | None = None,
    before: int = 0,
) -> StageOutcome:
    """Trains a stage and writes its adapter; workers wait for the first one, which writes."""
    outcome = run_stage(stage, monitor, before)
    if rank() == 0:
        if note is not None:
            write_json(note, outcome.to_row())
        write_adapter(stage.trainer.model, out_dir, base_id=spec.base_id)
    wait_for_all()
    return outcome


def _monitor(
    stage: Stage, sink: ProgressSink, *, before: int | None = None, after: int = 0
) -> Monitor:
    return Monitor(
        sink=sink,
        lengths=stage.lengths,
        batch_size=stage.rows_per_step,
        vocab_size=stage.trainer.model.config.vocab_size,
        before=before,
        after=after,
    )


def _make_room(work_dir: Path) -> None:
    """Gives back what the first stage held: its model, and its checkpoints."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if rank() == 0:
        for folder in work_dir.glob("checkpoint-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _quiet(threads: int) -> None:
    torch.set_num_threads(threads)
    transformers_logging: Any = transformers.utils.logging
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()


def _preflight(spec: TrainingSpec, text: TrainingText, plan: PreferencePlan) -> Estimate | None:
    """Refuses a run that cannot fit; None when nothing is known of the base's shape."""
    shape, recipe = Shape.read(spec.base_dir), spec.recipe
    if shape is None:
        return None
    tokenizer, gpu = load_tokenizer(spec.base_dir), torch.cuda.is_available()
    shown = [(row["prompt"], row["completion"]) for row in text.rows]
    sides = [(row["prompt"], row[side]) for row in plan.rows for side in ("chosen", "rejected")]
    texts = ["\n".join(m["content"] for m in (*asked, *said)) for asked, said in (*shown, *sides)]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    later = recipe.preference.epochs if recipe.preference else 0
    expected = estimate(
        shape,
        recipe,
        _of_a_run(lengths[: len(shown)], text.weights, recipe.epochs),
        compared=_of_a_run(
            lengths[len(shown) :], [row["weight"] for row in plan.rows for _ in range(2)], later
        ),
        gpu=gpu,
        speed=measure_speed(gpu=gpu, compute_dtype=recipe.compute_dtype),
    )
    expected.require_fit(spec.max_hours)
    return expected


def _of_a_run(lengths: Sequence[int], weights: Sequence[float], epochs: int) -> list[int]:
    """Returns the length of every row that a run shows."""
    order = training_order(lengths, epochs=epochs, batch_size=1, seed=0, weights=weights)
    return [lengths[index] for index in order]


def _wanted_bytes(spec: TrainingSpec) -> int:
    """Three checkpoints (weights and two Adam moments, float32) and the adapter, with room.

    LoRA weights are at most 2 * rank / hidden of the base; a fifth of the base's bytes for rank 16
    covers every shape we serve, and 20 MB the fixed parts.
    """
    base = sum(path.stat().st_size for path in spec.base_dir.glob("*.safetensors"))
    return int(base * 0.2 * spec.recipe.rank / 16) * 4 + 20_000_000


def _prepare_work_dir(spec: TrainingSpec) -> None:
    """Deletes another run's leftovers and checkpoints that are not whole."""
    identity = {
        "spec": spec.fingerprint(),
        "dataset": file_sha256(spec.dataset_dir / "train.jsonl"),
        "transformers": transformers.__version__,
    }
    marker = spec.work_dir / "run.json"
    try:
        same = json.loads(marker.read_text(encoding="utf-8")) == identity
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(spec.work_dir, ignore_errors=True)
    try:
        spec.work_dir.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps(identity), encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write to {spec.work_dir}: {exc.strerror}; choose a writable folder"
        ) from exc
    newest_complete(spec.work_dir)
    newest_complete(spec.work_dir / _SECOND)


def _first_stage(spec: TrainingSpec, trained: TrainingText, watched: TrainingText) -> Stage:
    recipe = spec.recipe
    transformers.set_seed(recipe.seed)
    model, tokenizer = load_quantised(spec.base_dir, recipe.compute_dtype)
    trainer: Any = SFTTrainer(
        model=model,
        args=_arguments(spec, watch=bool(watched.rows)),
        train_dataset=Dataset.from_list(list(trained.rows)),
        eval_dataset=Dataset.from_list(list(watched.rows)) if watched.rows else None,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    for parameter in trainable(trainer.model):
        # trl casts LoRA to bfloat16; in float32 a resumed run is bit-equal to a straight one.
        parameter.data = parameter.data.float()
    lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    order = training_order(
        lengths,
        epochs=recipe.epochs,
        batch_size=_rows_per_step(recipe),
        seed=recipe.seed,
        weights=trained.weights,
    )
    trainer.train_dataset = trainer.train_dataset.select(order)
    if watched.rows:
        trainer.add_callback(transformers.EarlyStoppingCallback(recipe.patience))
    return Stage(
        trainer=trainer,
        folder=spec.work_dir,
        lengths=tuple(lengths[i] for i in order),
        rows_per_step=_rows_per_step(recipe),
    )


def _arguments(spec: TrainingSpec, *, watch: bool) -> SFTConfig:
    recipe = spec.recipe
    return SFTConfig(
        **trainer_arguments(
            recipe,
            spec.work_dir,
            micro_batch=recipe.batch_size,
            accumulation=recipe.accumulation,
        ),
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        completion_only_loss=True,
        eval_strategy="steps" if watch else "no",
        eval_steps=recipe.save_every or 500,
        per_device_eval_batch_size=recipe.batch_size,
        load_best_model_at_end=watch,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
    )


def _rows_per_step(recipe: QloraRecipe) -> int:
    return recipe.batch_size * recipe.accumulation
