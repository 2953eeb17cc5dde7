"""What a run will need, before it starts: memory and time from the base's shape and the recipe.

An estimate, on the safe side and within a factor of two; what it is for is to say at once, with the
numbers, that an 8B base does not fit a 4 GiB card, instead of dying after an hour in the queue.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from feedback.errors import ConfigurationError
from retrain.training.spec import QloraRecipe

_GIB = float(1 << 30)
# NF4 with double quantisation: 4 bits and two levels of block constants.
_NF4_BYTES = 4.127 / 8
# Python, torch and the trainer on CPU; CUDA's context and kernels on a GPU.
_RUNTIME_CPU, _RUNTIME_GPU = 0.75 * _GIB, 0.9 * _GIB
# LoRA needs no gradient of the frozen weights: 2 operations forward and 2 backward a weight and
# token, and 2 more when activations are computed again.
_OPERATIONS, _OPERATIONS_AGAIN = 4, 6
# A second stage asks its reference too, forward only.
_OPERATIONS_REFERENCE = 2
# Of the speed of a plain matrix product: dequantising, attention and small matrices take the rest.
_EFFICIENCY = 0.35


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What counts of a Llama-like base."""

    hidden: int
    intermediate: int
    layers: int
    kv_width: int
    vocabulary: int
    tied: bool

    @classmethod
    def read(cls, base_dir: Path) -> "Shape | None":
        """Reads `config.json`; None when the base is of another kind, which nothing is known of."""
        try:
            config = json.loads((base_dir / "config.json").read_text(encoding="utf-8"))
            heads = int(config["num_attention_heads"])
            head = int(config.get("head_dim") or config["hidden_size"] // heads)
            return cls(
                hidden=int(config["hidden_size"]),
                intermediate=int(config["intermediate_size"]),
                layers=int(config["num_hidden_layers"]),
                kv_width=head * int(config.get("num_key_value_heads") or heads),
                vocabulary=int(config["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings", False)),
            )
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            return None

    @property
    def block_weights(self) -> int:
        """Weights of all linear layers, which are quantised and get LoRA."""
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_width
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def embedding_weights(self) -> int:
        """Weights of embeddings and head, which stay as they are."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    def lora_weights(self, rank: int) -> int:
        """Trained weights: in and out width of every linear layer, times the rank."""
        attention = 2 * (2 * self.hidden) + 2 * (self.hidden + self.kv_width)
        mlp = 3 * (self.hidden + self.intermediate)
        return self.layers * rank * (attention + mlp)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one run needs, in bytes and seconds.

    Attributes:
        parts: Bytes by what they are for.
        available: Bytes there are.
        tokens: Tokens that go through the model, padding not counted.
        device: `GPU` or `CPU`.
    """

    parts: dict[str, float]
    available: float
    tokens: int
    seconds: float
    device: str

    @property
    def needed(self) -> float:
        """Bytes altogether."""
        return sum(self.parts.values())

    def require_fit(self, max_hours: float) -> None:
        """Refuses what cannot fit.

        Raises:
            ConfigurationError: With the numbers, and what would make it smaller.
        """
        problems = []
        if self.needed > self.available:
            parts = ", ".join(f"{name} {n / _GIB:.1f}" for name, n in self.parts.items())
            problems.append(
                f"the run needs about {self.needed / _GIB:.1f} GiB of {self.device} memory "
                f"({parts}) and {self.available / _GIB:.1f} GiB are free; lower batch_size or "
                "max_length, turn on activation_checkpointing, or take a smaller base"
            )
        if self.seconds > 3600 * max_hours:
            problems.append(
                f"the run takes about {self.seconds / 3600:.0f} hours for {self.tokens:,} tokens "
                f"on this {self.device}, and UNDERSTUDY_RETRAIN__MAX_HOURS allows {max_hours:g}; "
                "train fewer epochs, or on a GPU"
            )
        if problems:
            raise ConfigurationError(*problems)


def estimate(
    shape: Shape,
    recipe: QloraRecipe,
    lengths: Sequence[int],
    *,
    compared: Sequence[int] = (),
    gpu: bool,
    speed: float,
) -> Estimate:
    """Estimates a run.

    Args:
        shape: Of the base.
        recipe: Its hyperparameters.
        lengths: Tokens of every row of the whole run, all epochs.
        compared: Tokens of both sides of every pair of a second stage, all epochs.
        gpu: Whether it runs on a GPU.
        speed: Operations a second of a plain matrix product there.
    """
    width = 4 if recipe.compute_dtype == "float32" else 2
    longest = min(recipe.max_length, max((*lengths, *compared), default=1))
    # Pairs come in micro-batches of half the size, but there is no half a pair.
    batch = max(recipe.batch_size, 2 if compared else 1) * longest
    lora = shape.lora_weights(recipe.rank)
    # Everything a layer keeps for its backward pass: inputs of seven products and two norms.
    layer = batch * (10 * shape.hidden + 4 * shape.intermediate + 2 * shape.kv_width) * width
    kept = shape.layers * batch * shape.hidden * width + layer
    moments = 2 if "8bit" in recipe.optimizer else 8
    parts = {
        "runtime": _RUNTIME_GPU if gpu else _RUNTIME_CPU,
        "base": shape.block_weights * _NF4_BYTES + shape.embedding_weights * width,
        "LoRA": float(lora * (4 + 4 + moments + (4 if compared else 0))),
        "activations": float(kept if recipe.activation_checkpointing else shape.layers * layer),
        "logits": float(batch * shape.vocabulary * 4),
    }
    tokens, pairs = _shown(lengths, recipe), _shown(compared, recipe, sides=2)
    per_weight = _OPERATIONS_AGAIN if recipe.activation_checkpointing else _OPERATIONS
    weights = shape.block_weights + shape.embedding_weights
    operations = weights * (per_weight * tokens + (per_weight + _OPERATIONS_REFERENCE) * pairs)
    return Estimate(
        parts=parts,
        available=float(_free_gpu() if gpu else _free_memory()),
        tokens=tokens + pairs,
        seconds=operations / (speed * _EFFICIENCY),
        device="GPU" if gpu else "CPU",
    )


def _shown(lengths: Sequence[int], recipe: QloraRecipe, sides: int = 1) -> int:
    """Returns the tokens of a stage, of which `max_steps` may show a part only."""
    tokens = sum(min(length, recipe.max_length) for length in lengths)
    if recipe.max_steps is None or not lengths:
        return tokens
    rows = sides * recipe.max_steps * recipe.batch_size * recipe.accumulation
    return round(tokens * min(1.0, rows / len(lengths)))


def measure_speed(*, gpu: bool, compute_dtype: str, seconds: float = 0.05) -> float:
    """Returns operations a second of a plain matrix product here, measured for a moment."""
    device, size = ("cuda", 4096) if gpu else ("cpu", 256)
    matrix = torch.ones(size, size, device=device, dtype=getattr(torch, compute_dtype))
    matrix @ matrix
    done, started = 0, time.perf_counter()
    while True:
        matrix @ matrix
        if gpu:
            torch.cuda.synchronize()
        done += 1
        spent = time.perf_counter() - started
        if spent >= seconds:
            return 2.0 * size**3 * done / spent


def _free_memory() -> int:
    """What is free, or what the container may have, whichever is less."""
    free = int(psutil.virtual_memory().available)
    try:
        return min(free, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return free


def _free_gpu() -> int:
    free: Any = torch.cuda.mem_get_info()[0]
    return int(free)
