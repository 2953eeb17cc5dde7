"""Does the model still do as it is told? The simplest instruction: repeat these words."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrain.evals.matching import holds, holds_any
from retrain.evals.task import Example


@dataclass(frozen=True, kw_only=True)
class EchoTask:
    """Share of "repeat this" instructions that are followed."""

    asked: Sequence[Example]
    name: str = "instructions"

    def examples(self) -> Sequence[Example]:
        """Returns the instructions."""
        return self.asked

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the wanted words are in the answer, in order."""
        if example.accepted:
            return holds_any(answer, example.accepted)
        return holds(answer, example.reference)
