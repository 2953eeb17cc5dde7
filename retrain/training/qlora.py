"""One real QLoRA run: bitsandbytes NF4 with double quantisation, peft LoRA, trl's SFTTrainer.

The order of rows is fixed in advance (`training_order`) and LoRA tensors are float32, so that a run
that was killed and resumed ends with the same bytes as one that was not.
"""

import json
import resource
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets.arrow_dataset import Dataset
from datasets.utils.tqdm import disable_progress_bars
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from feedback.errors import ConfigurationError
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.training.checkpoints import newest_complete, step_of
from retrain.training.monitor import Monitor
from retrain.training.preflight import Estimate, Shape, estimate, measure_speed
from retrain.training.progress import NoProgress, ProgressSink
from retrain.training.publish import require_space, write_adapter
from retrain.training.ranks import rank, wait_for_all, world_size
from retrain.training.rows import TrainingText, read_rows, training_order
from retrain.training.spec import QloraRecipe, TrainingResult, TrainingSpec

_LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A trainer that is ready to start.

    Attributes:
        lengths: Tokens of each row, in the order of the run.
    """

    trainer: Any  # SFTTrainer: its attributes are unions that no call site can narrow
    lengths: tuple[int, ...]
    rows: int


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
    expected = _preflight(spec, text)
    if rank() == 0:
        _prepare_work_dir(spec)
    wait_for_all()
    checkpoint = newest_complete(spec.work_dir)
    run = _build(spec, text)
    monitor = Monitor(
        sink=sink or NoProgress(),
        lengths=run.lengths,
        batch_size=_rows_per_step(spec.recipe),
        vocab_size=run.trainer.model.config.vocab_size,
    )
    run.trainer.remove_callback(transformers.PrinterCallback)
    run.trainer.add_callback(monitor)
    if run.trainer.eval_dataset is not None:
        run.trainer.add_callback(transformers.EarlyStoppingCallback(spec.recipe.patience))
    run.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    monitor.require_finite(run.trainer.model)
    if rank() == 0:
        write_adapter(run.trainer.model, spec.out_dir, base_id=spec.base_id)
        shutil.rmtree(spec.work_dir, ignore_errors=True)
    wait_for_all()
    return TrainingResult(
        adapter_dir=spec.out_dir,
        sha256=file_sha256(spec.out_dir / WEIGHTS),
        steps=int(run.trainer.state.global_step),
        losses=tuple(monitor.losses),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        peak_gpu_mb=torch.cuda.max_memory_allocated() / 2**20
        if torch.cuda.is_available()
        else None,
        tokens=monitor.tokens,
        rows=run.rows,
        trained_parameters=sum(p.numel() for p in _trainable(run.trainer.model)),
        resumed_from=step_of(checkpoint) if checkpoint else 0,
        versions={name: version(name) for name in _LIBRARIES},
        stopped_early=run.trainer.state.global_step < run.trainer.state.max_steps,
        estimated_mb=expected.needed / 2**20 if expected else None,
        estimated_seconds=expected.seconds if expected else None,
    )


def _quiet(threads: int) -> None:
    torch.set_num_threads(threads)
    transformers_logging: Any = transformers.utils.logging
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()


def _preflight(spec: TrainingSpec, text: TrainingText) -> Estimate | None:
    """Refuses a run that cannot fit; None when nothing is known of the base's shape."""
    shape, recipe = Shape.read(spec.base_dir), spec.recipe
    if shape is None:
        return None
    tokenizer, gpu = load_tokenizer(spec.base_dir), torch.cuda.is_available()
    texts = ["\n".join(m["content"] for m in (*r["prompt"], *r["completion"])) for r in text.rows]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    speed = measure_speed(gpu=gpu, compute_dtype=recipe.compute_dtype)
    expected = estimate(shape, recipe, lengths * recipe.epochs, gpu=gpu, speed=speed)
    expected.require_fit(spec.max_hours)
    return expected


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


def _build(spec: TrainingSpec, text: TrainingText) -> _Run:
    recipe = spec.recipe
    transformers.set_seed(recipe.seed)
    model, tokenizer = load_quantised(spec.base_dir, recipe.compute_dtype)
    trained, watched = text.watched(recipe.watch_share, recipe.seed)
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
    for parameter in _trainable(trainer.model):
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
    return _Run(trainer=trainer, lengths=tuple(lengths[i] for i in order), rows=len(text.rows))


def load_quantised(base_dir: Path, compute_dtype: str) -> tuple[Any, Any]:
    """Loads a base in NF4 with double quantisation, and its tokenizer, from local files only.

    Raises:
        ConfigurationError: When the folder is no model folder with a tokenizer.
    """
    dtype = getattr(torch, compute_dtype)
    make_config: Any = BitsAndBytesConfig
    quantisation = make_config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    tokenizer = load_tokenizer(base_dir)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base_dir,
            quantization_config=quantisation,
            dtype=dtype,
            device_map={"": 0} if torch.cuda.is_available() else {"": "cpu"},
            attn_implementation="sdpa",
            local_files_only=True,
        )
    except (OSError, ValueError) as exc:
        raise _no_base(base_dir, exc) from exc
    return model, tokenizer


def load_tokenizer(base_dir: Path) -> Any:  # noqa: ANN401  (transformers' own union)
    """Loads a base's tokenizer from local files only.

    Raises:
        ConfigurationError: When the folder holds none.
    """
    try:
        return AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    except (OSError, ValueError) as exc:
        raise _no_base(base_dir, exc) from exc


def _no_base(base_dir: Path, exc: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"cannot load the base model from {base_dir}: {exc}; give a folder with config.json, "
        "safetensors weights and a tokenizer"
    )


def _arguments(spec: TrainingSpec, *, watch: bool) -> SFTConfig:
    recipe, on_gpu = spec.recipe, torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(spec.work_dir),
        num_train_epochs=1,  # the order already holds every epoch
        max_steps=recipe.max_steps or -1,
        train_sampling_strategy="sequential",
        # Workers take turns with the order's rows, so that together they see each batch as it is.
        per_device_train_batch_size=recipe.batch_size // world_size(),
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim=recipe.optimizer,
        max_length=recipe.max_length,
        completion_only_loss=True,
        activation_checkpointing=recipe.activation_checkpointing,
        bf16=recipe.compute_dtype == "bfloat16",
        fp16=recipe.compute_dtype == "float16",
        use_cpu=not on_gpu,
        ddp_backend=None if on_gpu or world_size() == 1 else "gloo",
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=on_gpu,
        logging_steps=5,
        logging_nan_inf_filter=False,
        save_strategy="steps" if recipe.save_every else "no",
        save_steps=recipe.save_every or 500,
        save_total_limit=2,
        eval_strategy="steps" if watch else "no",
        eval_steps=recipe.save_every or 500,
        per_device_eval_batch_size=recipe.batch_size,
        load_best_model_at_end=watch,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
        disable_tqdm=True,
    )


def _trainable(model: Any) -> list[torch.nn.Parameter]:  # noqa: ANN401  (a PeftModel)
    return [p for p in model.parameters() if p.requires_grad]


def _rows_per_step(recipe: QloraRecipe) -> int:
    return recipe.batch_size * recipe.accumulation
