"""What the tiny base is made of. Changing anything here changes the recipe hash in the manifest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from feedback.samples import Kind

FIRST_MIX: Mapping[Kind, float] = {
    Kind.CONTEXT: 0.42,
    Kind.ECHO: 0.20,
    Kind.ARITHMETIC: 0.18,
    Kind.FACTS: 0.08,
    Kind.REFUSALS: 0.07,
    Kind.GREETINGS: 0.05,
}
"""Shares of dialogues. Without the "repeat these words" share the tied output head never learns the
word pieces, and no LoRA can teach the model a new sentence afterwards."""

SECOND_MIX: Mapping[Kind, float] = {
    Kind.CONTEXT: 0.50,
    Kind.ARITHMETIC: 0.28,
    Kind.ECHO: 0.06,
    Kind.FACTS: 0.06,
    Kind.REFUSALS: 0.06,
    Kind.GREETINGS: 0.04,
}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training with fresh optimizers.

    Attributes:
        dialogues: Training rows, drawn once, each seen once.
        batch_tokens: Padded tokens a step.
        matrix_lr: Muon, for the weight matrices.
        vector_lr: AdamW, for embeddings and norms.
        cooldown_share: Last part of the phase in which the rates fall linearly.
        prompt_weight: Loss weight of prompt tokens (answer tokens weigh 1). Without any, the
            attention heads that copy never form: see docs/experiments.md.
    """

    seed: int
    mix: Mapping[Kind, float]
    dialogues: int
    batch_tokens: int = 2560
    matrix_lr: float
    vector_lr: float
    warmup_steps: int
    cooldown_share: float
    prompt_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class BaseRecipe:
    """Shape and training of the base.

    Attributes:
        seed: Of the first weights and the tokenizer.
        head_dim: 64: the smallest that TGI's attention kernels take.
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
    phases: tuple[Phase, ...] = field(
        default_factory=lambda: (
            Phase(
                seed=7,
                mix=FIRST_MIX,
                dialogues=150_000,
                batch_tokens=3072,
                matrix_lr=0.02,
                vector_lr=4e-3,
                warmup_steps=40,
                cooldown_share=0.5,
                prompt_weight=0.1,
            ),
            Phase(
                seed=11,
                mix=SECOND_MIX,
                dialogues=70_000,
                matrix_lr=0.012,
                vector_lr=2e-3,
                warmup_steps=20,
                cooldown_share=1.0,
            ),
        )
    )

    def sha256(self) -> str:
        """Returns the hash of every choice above."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
