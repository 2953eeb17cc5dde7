"""Does the model still know what everybody knows?"""

from collections.abc import Sequence
from dataclasses import dataclass

from retrain.evals.matching import holds_all, holds_any
from retrain.evals.task import Example


@dataclass(frozen=True, kw_only=True)
class FactsTask:
    """Share of questions whose accepted answer is stated. Also serves context and recall probes."""

    asked: Sequence[Example]
    name: str = "facts"

    def examples(self) -> Sequence[Example]:
        """Returns the questions."""
        return self.asked

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer states all facts and one of the accepted texts."""
        if not holds_all(answer, example.facts):
            return False
        return holds_any(answer, example.accepted) if example.accepted else bool(example.facts)
