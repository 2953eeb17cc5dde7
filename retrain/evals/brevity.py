"""Do answers stop when they have said it?"""

from collections.abc import Sequence
from dataclasses import dataclass

from feedback.domain.text import words
from retrain.evals.task import Example


@dataclass(frozen=True, kw_only=True)
class BrevityTask:
    """Share of answers that are not much longer than the reference.

    A model that has lost its end token talks until the limit; a model that pads every answer costs
    everybody's time. Wall time is reported beside (`Evaluation.seconds_per_answer`) and not judged
    here: it says more about the machine than about the model.

    Attributes:
        factor: Times the reference's words that are still fine.
        slack: Words that are fine on top.
    """

    asked: Sequence[Example]
    factor: float = 1.5
    slack: int = 10
    name: str = "to_the_point"

    def examples(self) -> Sequence[Example]:
        """Returns the questions with a reference."""
        return [example for example in self.asked if example.reference]

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer is short enough."""
        allowed = self.factor * len(words(example.reference)) + self.slack
        return len(words(answer)) <= allowed
