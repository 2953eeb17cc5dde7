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

SHARDED_RANK_STEP, SHARDED_RANK_PER_GPU = 16, 8
"""On n GPUs a rank below 8n, or between multiples of 16, is padded in the same way."""

FAMILIES = (
    "llama", "mistral", "qwen2", "gemma2", "gemma3", "gemma3_text", "starcoder2", "phi3", "granite",
)  # fmt: skip
"""Model types that TGI serves with LoRA; qwen3, gemma, phi and gpt2 fail at the server's start."""

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

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
    "megatron_config": "splits the weights in a way that is not read",
    "alora_invocation_tokens": "is not read: the adapter would act on every token",
    "use_qalora": "groups inputs in a way that is not read",
    "use_bdlora": "stores blocks that are not read",
    "arrow_config": "routes between adapters, which is not done",
    "kasa_config": "is not applied",
    "monteclora_config": "is not applied",
}
_BASE_CHANGING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")
_SKIPPED_WORDS = ("args", "arguments", "training")
_PROMPT_FILES = re.compile(
    r"(tokenizer.*|vocab.*|merges\.txt|special_tokens_map\.json|added_tokens\.json|"
    r"chat_template\..*|generation_config\.json)"
)
_TENSOR = re.compile(
    r"base_model\.model\.model\.layers\.(?P<layer>\d+)\.(?:self_attn|mlp)\.(?P<module>\w+)"
    r"\.lora_(?P<part>[AB])\.weight"
)


@dataclass(frozen=True, kw_only=True)
class BaseShape:
    """What lint needs of the base's config.json.

    Attributes:
        widths: (in, out) of every projection.
        problems: Why servers take no LoRA on this base.
    """

    layers: int
    widths: Mapping[str, tuple[int, int]]
    problems: Sequence[str] = ()


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
        problems=_lint_base(c),
    )


def _lint_base(config: Mapping[str, Any]) -> list[str]:
    problems = []
    if config.get("model_type") not in FAMILIES:
        problems.append(
            f"model_type {config.get('model_type')!r} of the base is not served with LoRA; use one "
            f"of {', '.join(FAMILIES)}"
        )
    if config.get("quantization_config"):
        problems.append(
            "the base is quantised, where LoRA fails at the server's start; serve it in fp16 or "
            "bf16"
        )
    return problems


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


def lint_path(folder: Path) -> list[str]:
    """Returns what is wrong with the place of an adapter: LORA_ADAPTERS names it as well."""
    if any(mark in str(folder) for mark in ",=@"):
        return [
            f"the path {folder} holds a comma, = or @, at which LORA_ADAPTERS is split; move it"
        ]
    return []


def lint_adapter(
    folder: Path,
    *,
    name: str,
    base: Path | None = None,
    base_id: str | None = None,
    shards: int = 1,
) -> list[str]:
    """Returns every problem of an adapter folder; an empty list means that it can be served.

    Args:
        folder: What peft saved.
        name: The name it will be served under.
        base: The base snapshot's folder, to compare shapes and layers.
        base_id: What the adapter must name as its base.
        shards: GPUs that one server is spread over.
    """
    problems = lint_name(name, taken=[base_id] if base_id else [])
    problems += lint_path(folder)
    problems += _lint_files(folder)
    config = _read_config(folder, problems)
    if config is not None:
        problems += _lint_config(config, base_id)
        problems += _lint_rank(config.get("r"), shards)
    shape = None if base is None else base_shape(base)
    if shape is not None:
        problems += shape.problems
    if (folder / WEIGHTS).is_file():
        problems += _lint_tensors(folder / WEIGHTS, config or {}, shape)
    return problems


def require_servable(
    folder: Path,
    *,
    name: str,
    base: Path | None = None,
    base_id: str | None = None,
    shards: int = 1,
) -> None:
    """Lints an adapter.

    Raises:
        ConfigurationError: With every problem.
    """
    problems = lint_adapter(folder, name=name, base=base, base_id=base_id, shards=shards)
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
    problems += [
        f"{name} is never read from an adapter: the base's tokenizer and template are served, so "
        "train with those and leave it out"
        for name in names
        if _PROMPT_FILES.fullmatch(name)
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
    if config.get("revision") not in {None, "main"}:
        problems.append(
            f"revision={config['revision']!r} is checked by no server; train on the snapshot "
            "that is served, whose hash the manifest holds"
        )
    named = config.get("base_model_name_or_path")
    if base_id is not None and named != base_id:
        problems.append(f"it was trained on base {named!r}, the served base is {base_id!r}")
    return problems


def _lint_rank(rank: object, shards: int) -> list[str]:
    if rank not in RANKS or not isinstance(rank, int):
        return [f"rank r={rank} is served wrongly; use 8, 16, 32 or 64"]
    if shards > 1 and (rank % SHARDED_RANK_STEP or rank < SHARDED_RANK_PER_GPU * shards):
        least = SHARDED_RANK_PER_GPU * shards
        return [f"rank r={rank} is padded on {shards} GPUs; use a multiple of 16 from {least} on"]
    return []


def _lint_tensors(path: Path, config: Mapping[str, Any], shape: BaseShape | None) -> list[str]:
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
        layers.setdefault(match["module"], set()).add(int(match["layer"]))
        trained |= match["part"] == "B" and bool(tensor.any())
        found = _lint_tensor(tensor, match, config.get("r"), shape)
        other = {"A": "B", "B": "A"}[match["part"]]
        if key.replace(f".lora_{match['part']}.", f".lora_{other}.") not in tensors:
            found.append(f"has no lora_{other} beside it, and is skipped")
        problems += [f"tensor {key} {text}" for text in found]
    if tensors and not trained:
        problems.append("every lora_B is zero: the adapter is untrained and equals the base")
    return problems + _lint_coverage(layers, config.get("target_modules"), shape)


def _lint_tensor(
    tensor: torch.Tensor, match: re.Match[str], rank: object, shape: BaseShape | None
) -> list[str]:
    if tensor.dtype not in DTYPES:
        return [f"is {tensor.dtype}; save it as float32 or bfloat16"]
    found = []
    if not bool(torch.isfinite(tensor).all()):
        found.append("holds values that are not finite")
    wrong = _wrong_shape(tensor.shape, match["module"], match["part"], rank, shape)
    return [*found, wrong] if wrong else found


def _lint_coverage(
    layers: Mapping[str, set[int]], listed: object, shape: BaseShape | None
) -> list[str]:
    """Says what is trained in some layers only, or named without being there."""
    problems = []
    if isinstance(listed, list) and set(listed) <= set(PROJECTIONS):
        problems += [
            f"target_modules and tensors differ in {module}"
            for module in sorted(set(listed) ^ set(layers))
        ]
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
