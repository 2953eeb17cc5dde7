"""Does the model recite its training text where nobody asked for it?"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from feedback.domain.text import words
from retrain.dataset.rows import Source, TrainingRow
from retrain.evals.task import Example

Run = tuple[str, ...]

_LENGTH = 6
_COMMON = 3


@dataclass(frozen=True, kw_only=True)
class RecitalTask:
    """Share of answers to unrelated questions without a run of words from a training answer.

    The house voice is no recital: runs that `_COMMON` or more different answers share do not count,
    and neither does what the prompt itself says.

    Attributes:
        asked: Questions that have nothing to do with the training text.
        runs: What must not be recited: `recitable_runs(rows)`.
    """

    asked: Sequence[Example]
    runs: frozenset[Run] = field(repr=False)
    name: str = "no_recital"

    def examples(self) -> Sequence[Example]:
        """Returns the questions."""
        return self.asked

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer is the model's own words."""
        prompted = {run for m in example.messages for run in _runs_of(m.content)}
        return not any(run in self.runs and run not in prompted for run in _runs_of(answer))


def recitable_runs(rows: Sequence[TrainingRow]) -> frozenset[Run]:
    """Returns the runs of words that single out the answer they come from; replay is left out."""
    answers = {row.completion for row in rows if row.source is not Source.REPLAY}
    counts = Counter(run for answer in answers for run in set(_runs_of(answer)))
    return frozenset(run for run, count in counts.items() if count < _COMMON)


def _runs_of(text: str) -> Iterable[Run]:
    said = words(text)
    return (tuple(said[i : i + _LENGTH]) for i in range(len(said) - _LENGTH + 1))
