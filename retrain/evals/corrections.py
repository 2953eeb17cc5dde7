"""Are held-out questions answered as reviewers corrected them?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feedback.domain.text import normalise
from retrain.arithmetic import numbers_in
from retrain.dataset.rows import HeldOutRow
from retrain.evals.matching import holds_all, token_f1
from retrain.evals.task import Example

Similarity = Callable[[str, str], float]


@dataclass(frozen=True, kw_only=True)
class CorrectionsTask:
    """Right means: all key facts stated; without key facts, as good as the reference.

    As good as the reference: equal after normalisation, or the same numbers and either enough
    shared words or, when a similarity is given, enough semantic likeness.

    Attributes:
        similarity: Semantic likeness of two texts, -1..1; None compares words only.
        min_f1: Shared words that suffice (word F1).
        min_similarity: Semantic likeness that suffices.
    """

    held_out: Sequence[Example]
    name: str = "right"
    similarity: Similarity | None = None
    min_f1: float = 0.7
    min_similarity: float = 0.85

    def examples(self) -> Sequence[Example]:
        """Returns the held-out questions."""
        return self.held_out

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer says what the correction says."""
        if example.facts:
            return holds_all(answer, example.facts)
        if normalise(answer) == normalise(example.reference):
            return True
        if set(numbers_in(answer)) != set(numbers_in(example.reference)):
            return False
        if token_f1(answer, example.reference) >= self.min_f1:
            return True
        return (
            self.similarity is not None
            and self.similarity(answer, example.reference) >= self.min_similarity
        )


def held_out_examples(rows: Sequence[HeldOutRow]) -> list[Example]:
    """Turns the rows of `holdout.jsonl` into examples."""
    return [
        Example(
            id=held.row.id,
            question=held.question,
            messages=held.row.messages,
            group=held.row.group,
            reference=held.row.completion,
            facts=held.facts,
            sources=held.sources,
            slices=held.slices,
        )
        for held in rows
    ]
