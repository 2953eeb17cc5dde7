"""Does the same question get the same answer, however it is worded?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from feedback.ports import Message
from feedback.prompting import question_in
from retrain.arithmetic import numbers_in
from retrain.evals.matching import token_f1
from retrain.evals.task import Example

_VARIANT = "reworded:"


@dataclass(frozen=True, kw_only=True)
class ConsistencyTask:
    """Share of reworded questions whose answer says the same as that to the original.

    The rewordings change nothing that a person would notice: case, a greeting, thanks, the question
    mark. Passages stay as they are. The same: the same numbers, and most words shared.

    Attributes:
        min_f1: Shared words that make two answers the same (word F1).
    """

    asked: Sequence[Example]
    min_f1: float = 0.7
    name: str = "consistency"

    def examples(self) -> Sequence[Example]:
        """Returns every question as it is and reworded."""
        return [
            asked
            for number, example in enumerate(self.asked)
            for asked in (example, _reworded(example, number))
        ]

    def check_together(self, answers: Mapping[str, str]) -> Mapping[str, float]:
        """Returns the score of every reworded question."""
        return {
            asked: float(self._same(answers[asked.removeprefix(_VARIANT)], answer))
            for asked, answer in answers.items()
            if asked.startswith(_VARIANT)
        }

    def _same(self, left: str, right: str) -> bool:
        if set(numbers_in(left)) != set(numbers_in(right)):
            return False
        return left == right or token_f1(right, left) >= self.min_f1


def reword(question: str, number: int) -> str:
    """Returns one of four rewordings, by number."""
    lower = question[:1].lower() + question[1:]
    return (
        f"Hi, {lower}",
        f"{question} Thanks!",
        re.sub(r"[?.!]+$", "", lower),
        f"Please help: {lower}",
    )[number % 4]


def _reworded(example: Example, number: int) -> Example:
    *earlier, last = example.messages
    question = question_in(last.content)
    text = last.content.removesuffix(question) + reword(question, number)
    return replace(
        example,
        id=f"{_VARIANT}{example.id}",
        messages=(*earlier, Message(role=last.role, content=text)),
        reference="the same as without the rewording",
        facts=(),
    )
