"""Signs an adapter after training: transformers + peft, independent of every server's code."""

import asyncio
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from feedback.errors import ConfigurationError
from feedback.ports import Message
from feedback.serving.tgi import ScoredGeneration
from retrain.publishing.probes import PROBE_QUESTIONS, PROBE_TOKENS
from retrain.publishing.proof import (
    ProbeSignature,
    signature,
)
from retrain.publishing.rendering import TrainedRenderer


def sign_adapter(
    base: Path,
    adapter: Path,
    questions: Sequence[str] = PROBE_QUESTIONS,
    *,
    threads: int = 1,
) -> ProbeSignature:
    """Returns how base and adapter answer the probes, computed in this process in fp32.

    Takes seconds of CPU: call it from a worker process or `asyncio.to_thread`.

    Args:
        base: The base snapshot's folder.
        adapter: The adapter's folder.
        questions: Rendered as one-turn conversations.
        threads: CPU threads of torch (process-wide); a tiny model is slower with more.

    Raises:
        ConfigurationError: When a folder cannot be loaded.
    """
    torch.set_num_threads(threads)
    render = TrainedRenderer(base)
    model = _load(base, adapter)
    prompts = [render([Message(role="user", content=text)]).text for text in questions]

    async def generate(prompt: str, name: str | None) -> ScoredGeneration:
        ids = render.encode(prompt)
        if name is None:
            with model.disable_adapter():
                return _greedy(model, ids)
        return _greedy(model, ids)

    return asyncio.run(signature(prompts, generate, adapter="default"))


def _load(base: Path, adapter: Path) -> Any:  # noqa: ANN401  (a PeftModel)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            # peft asks transformers for an attribute that transformers calls deprecated.
            warnings.simplefilter("ignore", FutureWarning)
            plain = AutoModelForCausalLM.from_pretrained(
                base, dtype=torch.float32, local_files_only=True
            )
            return PeftModel.from_pretrained(plain, str(adapter), local_files_only=True).eval()
    except (OSError, ValueError, RuntimeError) as exc:
        raise ConfigurationError(f"cannot load adapter {adapter} on {base}: {exc}") from exc


@torch.inference_mode()
def _greedy(model: Any, ids: list[int]) -> ScoredGeneration:  # noqa: ANN401  (a PeftModel)
    """Decodes greedily, the whole text each step: no cache whose handling could differ."""
    ends = model.generation_config.eos_token_id
    stops = set(ends if isinstance(ends, list) else [ends])
    tokens: list[int] = []
    values: list[float] = []
    while len(tokens) < PROBE_TOKENS and not (tokens and tokens[-1] in stops):
        logits = model(torch.tensor([ids + tokens])).logits[0, -1]
        best = torch.log_softmax(logits.float(), dim=0).max(dim=0)
        tokens.append(int(best.indices))
        values.append(float(best.values))
    return ScoredGeneration(
        text="",
        token_ids=tuple(tokens),
        logprobs=tuple(values),
        finish_reason="length" if len(tokens) == PROBE_TOKENS else "eos_token",
    )
