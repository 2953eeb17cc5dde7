"""Reads a Hugging Face model folder of the Llama family into the decoder's weights.

transformers is not imported: it would take most of the server's start (about 4 of 6 CPU seconds).
What could be misread is refused here by name, and a test as well as every proof of load compares
the answers with transformers'.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from feedback.errors import ConfigurationError
from retrain.server.decoder import Decoder, Dimensions, LayerWeights, Weights

FAMILIES = ("llama", "mistral", "qwen2")
ROPE_TYPES = ("default", "linear", "llama3")

Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A loaded base model."""

    decoder: Decoder
    eos_ids: frozenset[int]


def load_snapshot(folder: Path, *, max_positions: int) -> Snapshot:
    """Loads a base model in fp32.

    Args:
        folder: A model folder with config.json and safetensors.
        max_positions: Upper bound of a row's length; lowered to what the model knows.

    Raises:
        ConfigurationError: When the folder cannot be read or asks for what is not supported.
    """
    config = _read_json(folder / "config.json", required=True)
    _refuse_unsupported(folder, config)
    tensors = _read_tensors(folder)
    try:
        decoder = _decoder(config, tensors, max_positions)
    except KeyError as exc:
        raise ConfigurationError(
            f"the model in {folder} lacks {exc}; its config and its weights do not fit together"
        ) from exc
    generation = _read_json(folder / "generation_config.json", required=False)
    return Snapshot(decoder=decoder, eos_ids=_eos_ids(config, generation))


def _read_json(path: Path, *, required: bool) -> Config:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if not required:
            return {}
        raise ConfigurationError(
            f"{path.parent} holds no {path.name}; give --model a Hugging Face model folder"
        ) from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"cannot read {path}: {exc}") from exc
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path} holds no JSON object")
    return data


def _refuse_unsupported(folder: Path, config: Config) -> None:
    """Refuses what this decoder would compute wrongly."""
    family = config.get("model_type")
    problems = {
        f"model_type {family!r} (known: {', '.join(FAMILIES)})": family not in FAMILIES,
        f"hidden_act {config.get('hidden_act')!r}": config.get("hidden_act", "silu") != "silu",
        "mlp_bias": config.get("mlp_bias"),
        "quantization_config": config.get("quantization_config"),
        "a sliding window": config.get("sliding_window") and config.get("use_sliding_window", True),
        f"rope type {_rope(config)[1]!r}": _rope(config)[1] not in ROPE_TYPES,
    }
    found = [name for name, present in problems.items() if present]
    if found:
        raise ConfigurationError(
            f"the model in {folder} uses {' and '.join(found)}, which this server does not run; "
            "serve it with TGI"
        )


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ConfigurationError(f"{folder} holds no safetensors file; save the model's weights")
    tensors: dict[str, Tensor] = {}
    for path in paths:
        try:
            loaded = load_file(path)
        except (OSError, SafetensorError) as exc:
            raise ConfigurationError(f"cannot read {path}: {exc}") from exc
        tensors |= {key: value.to(torch.float32) for key, value in loaded.items()}
    return tensors


def _decoder(config: Config, tensors: Mapping[str, Tensor], max_positions: int) -> Decoder:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    dimensions = Dimensions(
        layers=config["num_hidden_layers"],
        hidden=hidden,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        intermediate=config["intermediate_size"],
        vocab=config["vocab_size"],
        max_positions=min(max_positions, config["max_position_embeddings"]),
        eps=config["rms_norm_eps"],
    )
    embedding = tensors["model.embed_tokens.weight"]
    cos, sin = rotary_tables(config, dimensions.head_dim, dimensions.max_positions)
    weights = Weights(
        embedding=embedding,
        layers=tuple(
            _layer(tensors, f"model.layers.{number}.") for number in range(dimensions.layers)
        ),
        norm=tensors["model.norm.weight"],
        head=embedding if config.get("tie_word_embeddings") else tensors["lm_head.weight"],
        cos=cos,
        sin=sin,
    )
    return Decoder(dimensions, weights)


def _layer(tensors: Mapping[str, Tensor], prefix: str) -> LayerWeights:
    projections = [f"{prefix}self_attn.{name}_proj" for name in "qkv"]
    biases = [tensors.get(f"{name}.bias") for name in projections]
    present = [bias for bias in biases if bias is not None]
    if f"{prefix}self_attn.o_proj.bias" in tensors:
        raise KeyError(f"support for the bias {prefix}self_attn.o_proj.bias")
    return LayerWeights(
        attention_norm=tensors[f"{prefix}input_layernorm.weight"],
        qkv=torch.cat([tensors[f"{name}.weight"] for name in projections]),
        qkv_bias=torch.cat(present) if len(present) == len(projections) else None,
        output=tensors[f"{prefix}self_attn.o_proj.weight"],
        mlp_norm=tensors[f"{prefix}post_attention_layernorm.weight"],
        gate_up=torch.cat(
            [
                tensors[f"{prefix}mlp.gate_proj.weight"],
                tensors[f"{prefix}mlp.up_proj.weight"],
            ]
        ),
        down=tensors[f"{prefix}mlp.down_proj.weight"],
    )


def _rope(config: Config) -> tuple[Config, str]:
    """Returns rotary parameters and their type, from either spelling.

    transformers 5 writes `rope_parameters`; before, `rope_theta` and `rope_scaling`.
    """
    parameters = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    parameters.setdefault("rope_theta", config.get("rope_theta", 10_000.0))
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    return parameters, str(kind)


def rotary_tables(config: Config, head_dim: int, positions: int) -> tuple[Tensor, Tensor]:
    """Returns cos and sin, shape (positions, head_dim).

    RoPE (Su et al. 2021, arXiv:2104.09864); `linear` divides positions by `factor`; `llama3`
    divides low frequencies by `factor` and blends the middle band (Llama 3.1's reference code).
    """
    parameters, kind = _rope(config)
    exponent = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    frequencies = 1.0 / (float(parameters["rope_theta"]) ** exponent)
    if kind == "linear":
        frequencies /= float(parameters["factor"])
    elif kind == "llama3":
        frequencies = _llama3(frequencies, parameters)
    angles = torch.outer(torch.arange(positions).float(), frequencies)
    both = torch.cat((angles, angles), dim=1)
    return both.cos(), both.sin()


def _llama3(frequencies: Tensor, parameters: Config) -> Tensor:
    factor, low, high, context = (
        float(parameters[key])
        for key in (
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        )
    )
    wavelengths = 2 * math.pi / frequencies
    blend = ((context / wavelengths - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - blend) * frequencies / factor + blend * frequencies


def _eos_ids(config: Config, generation: Config) -> frozenset[int]:
    found: set[int] = set()
    for source in (config, generation):
        value = source.get("eos_token_id")
        found.update([value] if isinstance(value, int) else value or ())
    return frozenset(found)
