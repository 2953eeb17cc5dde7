"""Do answers say what the sources say, and nothing else?"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from feedback.tone.checks import Pattern
from feedback.tone.grounding import grounded
from retrain.evals.task import Example

Grounded = Callable[[str, Sequence[str]], bool]
"""Judges `(answer, texts it may draw on)`."""


@dataclass(frozen=True, kw_only=True)
class GroundingTask:
    """Share of answers that say something and have it from the sources.

    Attributes:
        grounded: The judge; `judge_by_words()` when None.
    """

    asked: Sequence[Example]
    grounded: Grounded | None = None
    name: str = "grounded"

    def examples(self) -> Sequence[Example]:
        """Returns the questions that have something to draw on."""
        return [e for e in self.asked if e.sources or e.reference]

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer is supported; the question's own words count as support."""
        judge = self.grounded or judge_by_words()
        sources = example.sources or (example.reference,)
        return judge(answer, (*sources, example.question))


def judge_by_words(boilerplate: Iterable[Pattern] = ()) -> Grounded:
    """Returns the judge that the bot itself uses, with one demand more: the answer must claim.

    So "I do not know" and a bare greeting are not grounded where the sources have the answer.

    Args:
        boilerplate: Sentences that claim nothing; pass `StyleGuide.required`.
    """
    patterns = tuple(boilerplate)

    def judge(answer: str, sources: Sequence[str]) -> bool:
        found = grounded(answer, sources, boilerplate=patterns)
        return found.supported and found.claims > 0

    return judge
