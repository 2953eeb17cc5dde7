"""Were the held-out questions really held out?

Everything else here is worth nothing when they were not: a model that has seen the questions scores
as well as one likes. The data set's split sees to it; this looks again, at the very files that were
trained on, whoever wrote them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from feedback.prompting import question_in
from retrain.dataset.rows import TrainingRow
from retrain.dataset.split import twins_across
from retrain.evals.task import Example


@dataclass(frozen=True, kw_only=True)
class UnseenTask:
    """Share of held-out questions that no training row asks, not even nearly.

    Attributes:
        seen: Ids of the others: `seen_in_training(held_out, rows)`.
    """

    held_out: Sequence[Example]
    seen: frozenset[str] = field(repr=False)
    name: str = "unseen"

    def examples(self) -> Sequence[Example]:
        """Returns the held-out questions."""
        return self.held_out

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the question was held out; the answer says nothing about that."""
        del answer
        return example.id not in self.seen


def seen_in_training(
    held_out: Sequence[Example], rows: Sequence[TrainingRow], *, jaccard: float = 0.7
) -> frozenset[str]:
    """Returns the ids of held-out questions that have a twin among the training rows.

    Args:
        held_out: The questions.
        rows: Everything that was trained on, replay too.
        jaccard: Of character 5-grams; from here on two questions are one.
    """
    asked = sorted({question_in(row.messages[-1].content) for row in rows})
    questions = [example.question for example in held_out]
    twins = twins_across(asked, questions, None, cosine=1.0, jaccard=jaccard)
    return frozenset(held_out[j].id for _, j in twins)
