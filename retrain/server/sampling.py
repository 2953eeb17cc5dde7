"""Choosing the next token of each row: greedy rows together, others one by one with own seeds.

Order and formulas follow TGI (server/text_generation_server/utils/{tokens,logits_process}.py):
repetition penalty, frequency penalty, temperature, top-k, top-p, typical-p, then the exponential
race argmax(p / Exp(1)), which draws from p. Reported log-probabilities are those after processing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How one row decodes.

    Attributes:
        seed: Seed of the row's own generator; meaningless when not sampling.
        top_n: How many alternatives to report a token.
    """

    sample: bool = False
    seed: int = 0
    temperature: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    top_n: int = 0

    @property
    def plain(self) -> bool:
        """Whether the row needs only the highest logit."""
        return not self.sample and self.repetition_penalty is None and not self.frequency_penalty


class Chooser:
    """One row's state: its decoding and its random generator."""

    def __init__(self, decoding: Decoding) -> None:
        self.decoding = decoding
        self._generator: torch.Generator | None = None

    def process(self, logits: Tensor, seen: Sequence[int]) -> Tensor:
        """Returns log-probabilities, shape (vocab,), after penalties and filters."""
        d = self.decoding
        if d.plain:
            return torch.log_softmax(logits, dim=0)
        scores = logits.clone()
        if d.repetition_penalty is not None and d.repetition_penalty != 1.0:
            index = torch.tensor(sorted(set(seen)))
            picked = scores[index]
            scores[index] = torch.where(
                picked < 0, picked * d.repetition_penalty, picked / d.repetition_penalty
            )
        if d.frequency_penalty:
            counts = torch.bincount(torch.tensor(seen), minlength=scores.shape[0])
            scores -= d.frequency_penalty * counts / len(seen)
        if d.sample:
            scores = self._filter(scores)
        return torch.log_softmax(scores, dim=0)

    def choose(self, logprobs: Tensor) -> int:
        """Returns the next token id."""
        if not self.decoding.sample:
            return int(logprobs.argmax())
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.decoding.seed % 2**63)
        race = torch.empty_like(logprobs).exponential_(1.0, generator=self._generator)
        return int((logprobs.exp() / race).argmax())

    def _filter(self, scores: Tensor) -> Tensor:
        d = self.decoding
        if d.temperature is not None:
            scores = scores / d.temperature
        if d.top_k is not None and d.top_k < scores.shape[0]:
            floor = scores.topk(d.top_k).values[-1]
            scores = scores.masked_fill(scores < floor, float("-inf"))
        if d.top_p is not None:
            ordered, index = scores.sort()
            drop = ordered.softmax(dim=0).cumsum(dim=0) <= 1 - d.top_p
            drop[-1] = False
            scores = scores.index_fill(0, index[drop], float("-inf"))
        if d.typical_p is not None:
            scores = _typical(scores, d.typical_p)
        return scores


def _typical(scores: Tensor, mass: float) -> Tensor:
    """Keeps the tokens whose surprise is nearest the entropy (Meister et al. 2022)."""
    logprobs = torch.log_softmax(scores, dim=0)
    entropy = -(logprobs * logprobs.exp()).nansum()
    order = (-logprobs - entropy).abs().sort().indices
    last = int((scores[order].softmax(dim=0).cumsum(dim=0) < mass).sum())
    return scores.index_fill(0, order[last + 1 :], float("-inf"))
