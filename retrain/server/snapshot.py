"""Reads a Hugging Face model folder into the decoder's weights, and checks the decoder against it.

transformers loads the weights and computes the rotary tables (with any scaling the config asks
for); then one prompt is run both ways, so a model this decoder would get wrong never starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from feedback.errors import ConfigurationError
from retrain.server.decoder import Decoder, Dimensions, KeyValueCache, LayerWeights, Weights

FAMILIES = ("llama", "mistral", "qwen2")
Loaded = Any
"""A transformers model or a part of it: its attributes have no static types."""

TOLERANCE = 2e-3
"""Largest difference of logits between this decoder and transformers that rounding explains."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A loaded base model."""

    decoder: Decoder
    eos_ids: frozenset[int]


def load_snapshot(folder: Path, *, max_positions: int) -> Snapshot:
    """Loads and verifies a base model.

    Args:
        folder: A model folder with config.json and safetensors.
        max_positions: Upper bound of a row's length; lowered to what the model knows.

    Raises:
        ConfigurationError: When the folder cannot be read or its family is not supported.
    """
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"{folder} holds no config.json; give --model a Hugging Face model folder"
        )
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, attn_implementation="sdpa"
        )
        model.eval()
    except (OSError, ValueError, RuntimeError) as exc:
        raise ConfigurationError(f"cannot load the model in {folder}: {exc}") from exc
    config = model.config
    if config.model_type not in FAMILIES:
        raise ConfigurationError(
            f"{folder} is a {config.model_type} model; this server runs {', '.join(FAMILIES)} "
            "(serve others with TGI)"
        )
    decoder = _decoder(model, max_positions)
    _check(decoder, model, folder)
    return Snapshot(decoder=decoder, eos_ids=_eos_ids(model))


def _decoder(model: Loaded, max_positions: int) -> Decoder:
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dimensions = Dimensions(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=head_dim,
        intermediate=config.intermediate_size,
        vocab=config.vocab_size,
        max_positions=min(max_positions, config.max_position_embeddings),
        eps=config.rms_norm_eps,
    )
    positions = torch.arange(dimensions.max_positions).unsqueeze(0)
    with torch.inference_mode():
        cos, sin = model.model.rotary_emb(torch.zeros(1), positions)
    weights = Weights(
        embedding=model.model.embed_tokens.weight.detach(),
        layers=tuple(_layer(layer) for layer in model.model.layers),
        norm=model.model.norm.weight.detach(),
        head=model.lm_head.weight.detach(),
        cos=cos[0],
        sin=sin[0],
    )
    return Decoder(dimensions, weights)


def _layer(layer: Loaded) -> LayerWeights:
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    bias = None
    if attention.q_proj.bias is not None:
        bias = torch.cat([projection.bias.detach() for projection in projections])
    return LayerWeights(
        attention_norm=layer.input_layernorm.weight.detach(),
        qkv=torch.cat([projection.weight.detach() for projection in projections]),
        qkv_bias=bias,
        output=attention.o_proj.weight.detach(),
        mlp_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=torch.cat((mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach())),
        down=mlp.down_proj.weight.detach(),
    )


@torch.inference_mode()
def _check(decoder: Decoder, model: Loaded, folder: Path) -> None:
    """Compares one prompt's logits, and one step's, with transformers'."""
    length = min(48, decoder.dimensions.max_positions - 1)
    tokens = [(7 * index + 3) % decoder.dimensions.vocab for index in range(length)]
    expected: Tensor = model(torch.tensor([tokens])).logits[0]
    cache = KeyValueCache(decoder.dimensions)
    first = decoder.prompt(cache, 0, tokens[:-1], None, all_positions=True)
    last = decoder.step(cache, [tokens[-1], 0, 0, 0], [length - 1, 0, 0, 0], None)[:1]
    difference = float((torch.cat((first, last)) - expected).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise ConfigurationError(
            f"this server's answers for {folder} differ from transformers' by {difference:.3g}; "
            "the model uses a feature it lacks (serve it with TGI)"
        )


def _eos_ids(model: Loaded) -> frozenset[int]:
    found: set[int] = set()
    for config in (model.config, model.generation_config):
        value: int | Sequence[int] | None = getattr(config, "eos_token_id", None)
        found.update([value] if isinstance(value, int) else value or ())
    return frozenset(found)
