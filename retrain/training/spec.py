"""What one training run is asked to do, and what it reports when it is done. Both are JSON."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from feedback.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class PreferenceRecipe:
    """Hyperparameters of a second stage: DPO on corrections and the wrong answers beside them.

    The defaults are for the packaged tiny base (docs/experiments.md); for a 7-8B model use
    `production_preference()`.

    Attributes:
        learning_rate: Peak; a tenth of the first stage's or less.
        epochs: Passes over the pairs.
        beta: How dear it is to move away from the first stage's adapter.
        sft_weight: Of the supervised term on right answers. There is no stage without it.
        min_pairs: With fewer pairs the stage is left out, and the run says so.
    """

    learning_rate: float = 3e-4
    epochs: int = 1
    beta: float = 0.1
    sft_weight: float = 1.0
    min_pairs: int = 100

    def __post_init__(self) -> None:
        """Refuses what no run could use, all at once.

        Raises:
            InvalidInputError: Naming every wrong field.
        """
        problems = [
            f"{f.name} of the preference stage must be positive, got {getattr(self, f.name)}"
            for f in fields(self)
            if getattr(self, f.name) <= 0
        ]
        if problems:
            raise InvalidInputError("; ".join(problems))


def production_preference(min_pairs: int) -> PreferenceRecipe:
    """Returns the second stage for 7-8B models: trl's rate for DPO on LoRA."""
    return PreferenceRecipe(learning_rate=5e-6, min_pairs=min_pairs)


@dataclass(frozen=True, kw_only=True)
class QloraRecipe:
    """Hyperparameters of a QLoRA run.

    The defaults are for the packaged tiny base and were measured (docs/experiments.md). For a 7-8B
    model use `production_recipe()`.

    Attributes:
        rank: LoRA rank; TGI serves 8, 16, 32 and 64.
        alpha: LoRA scale numerator; the update is scaled by alpha / rank.
        learning_rate: Peak, reached after `warmup_steps`, then cosine to zero.
        epochs: Passes over the rows.
        batch_size: Rows a step.
        accumulation: Micro-batches a step is split into.
        max_length: Longest row in tokens; longer ones are cut at the end.
        max_steps: Upper bound of steps of a stage; None trains all epochs.
        save_every: Steps between checkpoints; 0 writes none.
        activation_checkpointing: Recompute activations in the backward pass: less memory,
            20 % slower.
        compute_dtype: Of matrix products: `float32` on CPU, `bfloat16` on a GPU.
        optimizer: A transformers optimizer name; `paged_adamw_8bit` on a GPU.
        threads: CPU threads of torch.
        watch_share: Share of row groups that are not trained on; their loss is watched, and the
            run stops when it has not fallen for `patience` checkpoints. 0 trains on everything.
        patience: Checkpoints without a lower watched loss that end the run.
        preference: A second stage; None ends the run with the first.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    epochs: int = 6
    batch_size: int = 8
    accumulation: int = 1
    warmup_steps: int = 10
    max_grad_norm: float = 1.0
    max_length: int = 256
    max_steps: int | None = None
    save_every: int = 50
    seed: int = 0
    activation_checkpointing: bool = False
    compute_dtype: str = "float32"
    optimizer: str = "adamw_torch"
    threads: int = 1
    watch_share: float = 0.0
    patience: int = 3
    preference: PreferenceRecipe | None = None

    def __post_init__(self) -> None:
        """Refuses what no run could use, all at once.

        Raises:
            InvalidInputError: Naming every wrong field.
        """
        problems = [
            f"{name} must be positive, got {getattr(self, name)}"
            for name in ("rank", "alpha", "learning_rate", "epochs", "batch_size", "accumulation")
            if getattr(self, name) <= 0
        ]
        if self.rank not in {8, 16, 32, 64}:
            problems.append(
                f"rank must be 8, 16, 32 or 64 (the server pads others), got {self.rank}"
            )
        if not 0 <= self.watch_share < 0.5:
            problems.append(f"watch_share must be at least 0 and below .5, got {self.watch_share}")
        if self.watch_share and not (self.save_every and self.patience > 0):
            problems.append("a watched run needs checkpoints (save_every) and a positive patience")
        if self.compute_dtype not in {"float32", "bfloat16", "float16"}:
            problems.append(
                f"compute_dtype must be float32, bfloat16 or float16: {self.compute_dtype}"
            )
        if problems:
            raise InvalidInputError("; ".join(problems))


def production_recipe(**changes: Any) -> QloraRecipe:  # noqa: ANN401  (any field of the recipe)
    """Returns the recipe for 7-8B models on one GPU (docs/decisions), with `changes`."""
    settings: dict[str, Any] = {
        "learning_rate": 2e-4,
        "epochs": 3,
        "dropout": 0.05,
        "max_length": 2048,
        "batch_size": 2,
        "accumulation": 8,
        "warmup_steps": 20,
        "activation_checkpointing": True,
        "compute_dtype": "bfloat16",
        "optimizer": "paged_adamw_8bit",
        "watch_share": 0.05,
    }
    return QloraRecipe(**(settings | changes))


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """One training run.

    Attributes:
        dataset_dir: Folder with `train.jsonl`.
        base_dir: Folder of the base snapshot.
        base_id: What the adapter names as its base; never a path of this machine.
        out_dir: Receives the finished adapter (two files), all at once.
        work_dir: Checkpoints of the unfinished run.
        max_hours: A run that is estimated to take longer is refused.
    """

    dataset_dir: Path
    base_dir: Path
    base_id: str
    out_dir: Path
    work_dir: Path
    recipe: QloraRecipe = field(default_factory=QloraRecipe)
    max_hours: float = 24.0

    def to_row(self) -> dict[str, Any]:
        """Returns JSON values."""
        row: dict[str, Any] = {
            k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()
        }
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Parses what `to_row` made; a missing recipe, or field of it, takes its default.

        Raises:
            InvalidInputError: When a key is missing or unknown.
        """
        recipe = _known(QloraRecipe, row.get("recipe") or {})
        if recipe.get("preference") is not None:
            second = _known(PreferenceRecipe, recipe["preference"])
            recipe["preference"] = PreferenceRecipe(**second)
        try:
            return cls(
                dataset_dir=Path(row["dataset_dir"]),
                base_dir=Path(row["base_dir"]),
                base_id=str(row["base_id"]),
                out_dir=Path(row["out_dir"]),
                work_dir=Path(row["work_dir"]),
                recipe=QloraRecipe(**recipe),
                max_hours=float(row.get("max_hours", 24.0)),
            )
        except KeyError as exc:
            raise InvalidInputError(f"the training spec lacks {exc}") from exc

    def fingerprint(self) -> str:
        """Identifies recipe and base, so that a checkpoint of another run is never resumed."""
        what = {"base": self.base_id, "recipe": asdict(self.recipe)}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _known(recipe: type[QloraRecipe | PreferenceRecipe], row: Mapping[str, Any]) -> dict[str, Any]:
    known = sorted(f.name for f in fields(recipe))
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise InvalidInputError(
            f"unknown recipe fields {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return dict(row)


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A finished run.

    Attributes:
        sha256: Of adapter_model.safetensors.
        losses: `(step, loss)` of the logged steps, in this process.
        seconds: Wall time of this process, without imports.
        cpu_seconds: CPU time of this process, without imports.
        peak_rss_mb: Highest resident memory of this process so far.
        peak_gpu_mb: Highest allocated CUDA memory, None on CPU.
        tokens: Tokens trained on in this process, padding not counted.
        rows: Distinct rows in the data set.
        trained_parameters: LoRA weights.
        resumed_from: Step of the checkpoint this process continued, 0 for a fresh start.
        stopped_early: Whether the watched loss ended it; the adapter is that of the lowest one.
        estimated_mb: Memory that the pre-flight expected; None for a base of unknown shape.
        estimated_seconds: Time that it expected.
        preference_pairs: Corrections with a wrong answer beside them, when a second stage was
            asked for.
        preference_steps: Those of `steps` that the second stage made.
        preference_skipped: Why there was none although the recipe asks for it.
        versions: Libraries that produced the adapter.
    """

    adapter_dir: Path
    sha256: str
    steps: int
    losses: tuple[tuple[int, float], ...]
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    peak_gpu_mb: float | None
    tokens: int
    rows: int
    trained_parameters: int
    resumed_from: int
    versions: Mapping[str, str]
    stopped_early: bool = False
    estimated_mb: float | None = None
    estimated_seconds: float | None = None
    preference_pairs: int = 0
    preference_steps: int = 0
    preference_skipped: str = ""

    @property
    def final_loss(self) -> float:
        """Returns the last logged loss (nan when nothing was logged)."""
        return self.losses[-1][1] if self.losses else float("nan")

    @property
    def second_stage(self) -> str:
        """Says what became of the second stage; empty when none was asked for."""
        if self.preference_skipped:
            return f"left out: {self.preference_skipped}"
        if not self.preference_steps:
            return ""
        return f"{self.preference_steps} steps on {self.preference_pairs} pairs"

    def to_row(self) -> dict[str, Any]:
        """Returns JSON values."""
        row = asdict(self)
        return row | {
            "adapter_dir": str(self.adapter_dir),
            "losses": [list(x) for x in self.losses],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Parses what `to_row` made.

        Raises:
            InvalidInputError: When a key is missing or unknown.
        """
        try:
            return cls(
                **{
                    **row,
                    "adapter_dir": Path(row["adapter_dir"]),
                    "losses": tuple((int(s), float(v)) for s, v in row["losses"]),
                }
            )
        except (KeyError, TypeError) as exc:
            raise InvalidInputError(f"not a training result: {exc}") from exc
