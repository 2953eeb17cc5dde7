"""Do answers say what the sources say, and nothing else?"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feedback.domain.text import sentences, words
from retrain.arithmetic import numbers_in
from retrain.evals.task import Example

_STEM = 5
_MIN_SUPPORT = 0.6
# A capital inside a sentence marks a name; the first word of a sentence does not.
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w-]+")

Grounded = Callable[[str, Sequence[str]], bool]


@dataclass(frozen=True, kw_only=True)
class GroundingTask:
    """Share of answers that the sources support.

    Attributes:
        grounded: Judges `(answer, texts it may draw on)`; `lexically_grounded` by default.
    """

    asked: Sequence[Example]
    grounded: Grounded | None = None
    name: str = "grounded"

    def examples(self) -> Sequence[Example]:
        """Returns the questions that have something to draw on."""
        return [e for e in self.asked if e.sources or e.reference]

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer is supported; the question's own words count as support."""
        judge = self.grounded or lexically_grounded
        sources = example.sources or (example.reference,)
        return judge(answer, (*sources, example.question))


def lexically_grounded(answer: str, sources: Sequence[str]) -> bool:
    """Judges support by words: a signal and no proof.

    Supported: no number and no name that the sources lack, and at least one sentence with 60 % of
    its word stems in them. So "I do not know" is not grounded where the sources have the answer.
    Blind to paraphrase and to right words in a wrong relation.
    """
    if unsupported(answer, sources):
        return False
    known = {stem for source in sources for stem in _stems(source)}
    return any(
        len(stems & known) >= _MIN_SUPPORT * len(stems)
        for sentence in sentences(answer)
        if (stems := _stems(sentence))
    )


def unsupported(answer: str, sources: Sequence[str]) -> list[str]:
    """Returns the numbers and names of an answer that no source mentions."""
    text = "\n".join(sources)
    numbers = set(numbers_in(text))
    found = [format(value, "f") for value in numbers_in(answer) if value not in numbers]
    names = set(words(text))
    found += [name for name in _NAME.findall(answer) if name.casefold() not in names]
    return found


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in words(text) if len(word) > 3 or word.isdigit()}
