"""Do answers sound like the house voice?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrain.evals.task import Example


@dataclass(frozen=True, kw_only=True)
class ToneTask:
    """On-brand rate of the answers to the given questions.

    Attributes:
        on_brand: Judges one answer: the tone scorer with the operator's style guide.
    """

    asked: Sequence[Example]
    on_brand: Callable[[str], bool]
    name: str = "on_brand"

    def examples(self) -> Sequence[Example]:
        """Returns the questions."""
        return self.asked

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer keeps the house voice."""
        del example
        return self.on_brand(answer)
