"""What the tiny base is made of. Changing anything here changes the recipe hash in the manifest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from feedback.samples.generic import Kind

BASE_MIX: Mapping[Kind, float] = {
    Kind.CONTEXT: 0.40,
    Kind.ECHO: 0.22,
    Kind.ARITHMETIC: 0.18,
    Kind.FACTS: 0.10,
    Kind.REFUSALS: 0.06,
    Kind.GREETINGS: 0.04,
}
"""Shares of dialogues. Without the "repeat these words" share the tied output head never learns the
word pieces, and no LoRA can teach the model a new sentence afterwards."""


@dataclass(frozen=True, kw_only=True)
class BaseRecipe:
    """Shape and training of the base.

    Attributes:
        head_dim: 64: the smallest that TGI's attention kernels take.
        dialogues: Training rows, drawn once, each seen once.
        batch_tokens: Padded tokens a step.
        matrix_lr: Muon, for the weight matrices.
        vector_lr: AdamW, for embeddings and norms.
        prompt_weight: Loss weight of prompt tokens (completion tokens weigh 1).
    """

    seed: int = 7
    vocab_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 512
    layers: int = 4
    heads: int = 3
    head_dim: int = 64
    max_positions: int = 1024
    rope_theta: float = 10000.0
    dialogues: int = 150_000
    batch_tokens: int = 3072
    matrix_lr: float = 0.02
    vector_lr: float = 4e-3
    warmup_steps: int = 40
    cooldown_share: float = 0.5
    prompt_weight: float = 0.1
    mix: Mapping[Kind, float] = field(default_factory=lambda: dict(BASE_MIX))

    def sha256(self) -> str:
        """Returns the hash of every choice above."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
