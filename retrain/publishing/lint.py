"""Adapter lint: refuses what a server would load and apply wrongly, in silence.

Every rule names a way in which TGI 3.3.7 (server/text_generation_server/{utils,adapters}) takes an
adapter and answers with something else than was trained. Nothing here asks a server.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from feedback.errors import ConfigurationError
from retrain.publishing.identity import WEIGHTS

RANKS = (8, 16, 32, 64)
"""Other ranks are padded or leave the fast kernel; alpha/r is then right for one layer type."""

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RESERVED_NAMES = ("tgi", "dummy", "")

_MUST_BE_EMPTY = {
    "rank_pattern": "is ignored: only r is read",
    "alpha_pattern": "is ignored: only lora_alpha is read",
    "modules_to_save": "is not applied",
    "use_dora": "is not applied, and DoRA stops mixed batches",
    "lora_bias": "is not applied",
    "layers_to_transform": "drops the module type in all layers",
    "layer_replication": "is not applied",
    "fan_in_fan_out": "is not read",
    "trainable_token_indices": "is not applied",
    "target_parameters": "is not applied",
}
_BASE_CHANGING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")
_SKIPPED_WORDS = ("args", "arguments", "training")
_TENSOR = re.compile(
    r"base_model\.model\.model\.layers\.(?P<layer>\d+)\.(?:self_attn|mlp)\.(?P<module>\w+)"
    r"\.lora_(?P<part>[AB])\.weight"
)


@dataclass(frozen=True, kw_only=True)
class BaseShape:
    """What lint needs of the base's config.json."""

    layers: int
    widths: Mapping[str, tuple[int, int]]
    """(in, out) of every projection."""


def base_shape(folder: Path) -> BaseShape:
    """Reads the base's config.json.

    Raises:
        ConfigurationError: When it is missing or lacks a size.
    """
    path = folder / "config.json"
    try:
        c = json.loads(path.read_text(encoding="utf-8"))
        hidden, inner, heads = (
            c["hidden_size"],
            c["intermediate_size"],
            c["num_attention_heads"],
        )
        dim = c.get("head_dim") or hidden // heads
        key = dim * c.get("num_key_value_heads", heads)
        layers = c["num_hidden_layers"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError(f"{path} is no model config: {exc!r}") from exc
    return BaseShape(
        layers=layers,
        widths={
            "q_proj": (hidden, dim * heads),
            "k_proj": (hidden, key),
            "v_proj": (hidden, key),
            "o_proj": (dim * heads, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        },
    )


def lint_name(name: str, *, taken: Collection[str] = ()) -> list[str]:
    """Returns what is wrong with an adapter's name."""
    problems = []
    if any(mark in name for mark in ",=@") or name != name.strip():
        problems.append(
            f"adapter name {name!r} holds a comma, =, @ or outer spaces, at which LORA_ADAPTERS is "
            "split; rename it"
        )
    if name in RESERVED_NAMES or name in taken:
        problems.append(f"adapter name {name!r} means the base model to some server; rename it")
    return problems


def lint_adapter(
    folder: Path, *, name: str, base: Path | None = None, base_id: str | None = None
) -> list[str]:
    """Returns every problem of an adapter folder; an empty list means that it can be served.

    Args:
        folder: What peft saved.
        name: The name it will be served under.
        base: The base snapshot's folder, to compare shapes and layers.
        base_id: What the adapter must name as its base.
    """
    problems = lint_name(name, taken=[base_id] if base_id else [])
    problems += _lint_files(folder)
    config = _read_config(folder, problems)
    if config is not None:
        problems += _lint_config(config, base_id)
    shape = None if base is None else base_shape(base)
    if (folder / WEIGHTS).is_file():
        rank = None if config is None else config.get("r")
        problems += _lint_tensors(folder / WEIGHTS, rank, shape)
    return problems


def require_servable(
    folder: Path, *, name: str, base: Path | None = None, base_id: str | None = None
) -> None:
    """Lints an adapter.

    Raises:
        ConfigurationError: With every problem.
    """
    problems = lint_adapter(folder, name=name, base=base, base_id=base_id)
    if problems:
        raise ConfigurationError(*(f"adapter {name} in {folder}: {text}" for text in problems))


def _lint_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return ["the folder does not exist; give the folder peft saved"]
    problems = []
    names = sorted(path.name for path in folder.rglob("*") if path.is_file())
    tensors = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.safetensors"))
    if tensors != [WEIGHTS]:
        problems.append(
            f"it must hold exactly one safetensors file, {WEIGHTS}, at its top; found "
            f"{', '.join(tensors) or 'none'}"
        )
    problems += [
        f"{name} is a pickle, which is never loaded; save with safe_serialization=True"
        for name in names
        if name.endswith((".bin", ".pt", ".pth", ".pkl"))
    ]
    problems += [
        f"{name}: TGI skips weight files whose name holds {word!r}"
        for name in names
        for word in _SKIPPED_WORDS
        if word in name and name.endswith(".safetensors")
    ]
    return problems


def _read_config(folder: Path, problems: list[str]) -> dict[str, Any] | None:
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        problems.append(f"adapter_config.json cannot be read: {exc}")
        return None
    if not isinstance(config, dict):
        problems.append("adapter_config.json holds no object")
        return None
    return config


def _lint_config(config: Mapping[str, Any], base_id: str | None) -> list[str]:
    problems = []
    if config.get("peft_type") != "LORA":
        problems.append(f"peft_type is {config.get('peft_type')!r}; only LORA is served")
    if config.get("r") not in RANKS:
        problems.append(f"rank r={config.get('r')} is served wrongly; use 8, 16, 32 or 64")
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or not alpha > 0:
        problems.append(f"lora_alpha={alpha!r} must be a positive number")
    if config.get("bias") not in {None, "none"}:
        problems.append(f"bias={config['bias']!r}: trained biases are not applied; use 'none'")
    problems += [
        f"{key}={config[key]!r} {why}; train without it"
        for key, why in _MUST_BE_EMPTY.items()
        if config.get(key)
    ]
    init = config.get("init_lora_weights")
    if isinstance(init, str) and init.lower().startswith(_BASE_CHANGING_INITS):
        problems.append(f"init_lora_weights={init!r} changed the base's weights while training")
    modules = config.get("target_modules")
    if not isinstance(modules, list) or not modules:
        problems.append("target_modules must list the trained projections")
    else:
        unknown = sorted(set(map(str, modules)) - set(PROJECTIONS))
        if unknown:
            problems.append(f"target_modules {', '.join(unknown)} are skipped in silence")
    named = config.get("base_model_name_or_path")
    if base_id is not None and named != base_id:
        problems.append(f"it was trained on base {named!r}, the served base is {base_id!r}")
    return problems


def _lint_tensors(path: Path, rank: object, shape: BaseShape | None) -> list[str]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as exc:
        return [f"{path.name} cannot be read: {exc}"]
    problems: list[str] = []
    layers: dict[str, set[int]] = {}
    trained = False
    for key, tensor in sorted(tensors.items()):
        match = _TENSOR.fullmatch(key)
        if match is None or match["module"] not in PROJECTIONS:
            problems.append(f"tensor {key} is skipped in silence")
            continue
        if not bool(torch.isfinite(tensor).all()):
            problems.append(f"tensor {key} holds values that are not finite")
        layers.setdefault(match["module"], set()).add(int(match["layer"]))
        trained |= match["part"] == "B" and bool(tensor.any())
        wrong = _wrong_shape(tensor.shape, match["module"], match["part"], rank, shape)
        if wrong:
            problems.append(f"tensor {key} {wrong}")
    if tensors and not trained:
        problems.append("every lora_B is zero: the adapter is untrained and equals the base")
    if shape is not None:
        problems += [
            f"{module} is trained in {len(found)} of {shape.layers} layers; TGI drops it in all"
            for module, found in sorted(layers.items())
            if found != set(range(shape.layers))
        ]
    return problems


def _wrong_shape(
    found: Sequence[int], module: str, part: str, rank: object, shape: BaseShape | None
) -> str | None:
    """Says what is wrong with a matrix; A is (r, in), B is (out, r)."""
    if len(found) != 2:
        return f"has {len(found)} dimensions instead of 2"
    own = found[0] if part == "A" else found[1]
    if own != rank:
        return f"has rank {own}, the config says r={rank}"
    if shape is not None:
        other = found[1] if part == "A" else found[0]
        expected = shape.widths[module][0 if part == "A" else 1]
        if other != expected:
            return f"has width {other}, the base needs {expected}"
    return None
