"""The decoder computes what transformers computes, for every family and rotary type it takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from retrain.server.decoder import KeyValueCache
from retrain.server.snapshot import load_snapshot

SMALL: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "eos_token_id": [3, 5],
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}


def llama(**extra: object) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**{**SMALL, **extra}))


MODELS: dict[str, Callable[[], Any]] = {
    "llama": llama,
    "llama, tied, one kv head": lambda: llama(tie_word_embeddings=True, num_key_value_heads=1),
    "llama, wide heads": lambda: llama(head_dim=32),
    "llama, llama3 rope": lambda: llama(rope_parameters=LLAMA3),
    "llama, linear rope": lambda: llama(rope_parameters=LINEAR),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
}


@pytest.mark.parametrize("name", MODELS)
def test_prompt_and_steps_equal_transformers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    model = MODELS[name]().eval()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("bias"):  # zero when new: give the bias something to add
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path)
    tokens = [(11 * number) % 97 for number in range(120)]
    with torch.inference_mode():
        expected = model(torch.tensor([tokens])).logits[0]

    snapshot = load_snapshot(tmp_path, max_positions=200)
    decoder = snapshot.decoder
    cache = KeyValueCache(decoder.dimensions, rows=1, positions=32)
    parts = [decoder.prompt(cache, 0, tokens[:100], None, all_positions=True)]
    for position in range(100, 120):
        logits = decoder.step(cache, [tokens[position], 0, 0, 0], [position, 0, 0, 0], None)
        parts.append(logits[:1].clone())
    assert torch.allclose(torch.cat(parts), expected, rtol=1e-3, atol=1e-3)
    assert snapshot.eos_ids == {3, 5}
