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
from retrain.evals.task import Likelihood

_make_config: Any = GenerationConfig  # its constructor is untyped
_MAX_LOGITS = 1 << 26
"""Numbers of one forward pass without generating: 256 MB in float32."""


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

    def take_in(
        self,
        prompts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        base: "BatchGenerator | None" = None,
    ) -> list[Likelihood]:
        """Says how likely given answers are, and how far the model has moved from the base there.

        Args:
            prompts: What was asked.
            answers: What is answered, one a prompt.
            base: The untouched model; None says that this is it.
        """
        pairs = [
            (self._ids(self._render(prompt)), [*self._ids(answer), self._tokenizer.eos_token_id])
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        lengths = [len(prompt) + len(answer) for prompt, answer in pairs]
        order = sorted(range(len(pairs)), key=lambda i: lengths[i])
        widest = max(lengths, default=1) * int(self._model.config.vocab_size)
        batch_size = max(1, min(64, _MAX_LOGITS // widest))
        found: dict[int, Likelihood] = {}
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = [pairs[i] for i in chosen]
            ours = self._log_probabilities(batch)
            theirs = ours if base is None else base._log_probabilities(batch)  # noqa: SLF001
            for index, (prompt_ids, answer_ids), one, other in zip(
                chosen, batch, ours, theirs, strict=True
            ):
                found[index] = _likelihood(one, other, len(prompt_ids), answer_ids)
        return [found[index] for index in range(len(pairs))]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _log_probabilities(self, batch: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
        """Returns log-probabilities of the next token at every place, (B, longest, vocabulary)."""
        rows = [[*prompt, *answer] for prompt, answer in batch]
        longest = max(map(len, rows))
        padding = self._tokenizer.pad_token_id
        # Padded on the right: no real token sees a padding one, so no mask is needed.
        ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
        with torch.inference_mode():
            logits = self._model(input_ids=ids.to(self._device), use_cache=False).logits
            return torch.log_softmax(logits.float(), dim=-1)

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


def _likelihood(
    ours: torch.Tensor, base: torch.Tensor, start: int, answer: Sequence[int]
) -> Likelihood:
    """Averages over the answer's tokens; the place before a token predicts it."""
    places = slice(start - 1, start - 1 + len(answer))
    told = ours[places].gather(1, torch.tensor(answer, device=ours.device)[:, None])
    moved = (base[places].exp() * (base[places] - ours[places])).sum(-1)
    return Likelihood(surprise=-float(told.mean()), divergence=float(moved.mean()))


def generate_batch(
    prompts: Sequence[Sequence[Message]],
    *,
    base_dir: Path,
    adapter_dir: Path | None = None,
    max_tokens: int = 64,
) -> list[str]:
    """Returns greedy answers; loads the model anew, so keep a BatchGenerator for several calls."""
    return BatchGenerator(base_dir, adapter_dir).generate(prompts, max_tokens=max_tokens)
