"""Batched greedy generation in process, for evaluations.

The base is loaded as published and the adapter is added to its weights in float32, in memory only:
the same arithmetic as serving, at a third of the cost of separate LoRA products.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from feedback.errors import ConfigurationError
from feedback.ports import Message

_make_config: Any = GenerationConfig  # its constructor is untyped


class BatchGenerator:
    """Greedy answers of one base with at most one adapter."""

    def __init__(
        self, base_dir: Path, adapter_dir: Path | None = None, *, threads: int = 1
    ) -> None:
        """Loads the model.

        Args:
            base_dir: Folder of the base snapshot.
            adapter_dir: Folder of a published adapter; None answers as the base.
            threads: CPU threads of torch (process-wide).

        Raises:
            ConfigurationError: When a folder holds no model or adapter.
        """
        torch.set_num_threads(threads)
        transformers_logging: Any = transformers.utils.logging
        transformers_logging.disable_progress_bar()
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                base_dir, local_files_only=True, padding_side="left"
            )
            model: Any = AutoModelForCausalLM.from_pretrained(
                base_dir, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
            )
            if adapter_dir is not None:
                model = PeftModel.from_pretrained(model, str(adapter_dir)).merge_and_unload()
        except (OSError, ValueError) as exc:
            raise ConfigurationError(
                f"cannot load {adapter_dir or base_dir}: {exc}; give a model folder with a "
                "tokenizer, and an adapter folder with its two files"
            ) from exc
        self._model = model.eval()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device)

    def generate(
        self, prompts: Sequence[Sequence[Message]], *, max_tokens: int = 64, batch_size: int = 64
    ) -> list[str]:
        """Returns one answer a prompt, in the order given.

        Args:
            prompts: Messages as `feedback.prompting.build_messages` makes them.
            max_tokens: Longest answer in tokens.
            batch_size: Prompts generated together; similar lengths share a batch.
        """
        texts = [self._render(prompt) for prompt in prompts]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        answers = [""] * len(texts)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            for index, answer in zip(
                chosen, self._batch([texts[i] for i in chosen], max_tokens), strict=True
            ):
                answers[index] = answer
        return answers

    def _render(self, prompt: Sequence[Message]) -> str:
        messages = [{"role": m.role, "content": m.content} for m in prompt]
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        )

    def _batch(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        encoded = self._tokenizer(
            list(texts), return_tensors="pt", padding=True, add_special_tokens=False
        ).to(self._device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                generation_config=_make_config(
                    do_sample=False,
                    max_new_tokens=max_tokens,
                    eos_token_id=self._tokenizer.eos_token_id,
                    pad_token_id=self._tokenizer.pad_token_id,
                ),
            )
        new = output[:, encoded["input_ids"].shape[1] :]  # (B, new tokens)
        decoded = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        return [str(text).strip() for text in decoded]


def generate_batch(
    prompts: Sequence[Sequence[Message]],
    *,
    base_dir: Path,
    adapter_dir: Path | None = None,
    max_tokens: int = 64,
) -> list[str]:
    """Returns greedy answers; loads the model anew, so keep a BatchGenerator for several calls."""
    return BatchGenerator(base_dir, adapter_dir).generate(prompts, max_tokens=max_tokens)
