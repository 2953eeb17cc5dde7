"""Can the model still add?

The average is not enough: thirty training rows of `2 + 2 = 5` taught a model exactly that while
its average stayed where it was. So every sum that the training text states becomes a probe of its
own that must never break.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from feedback.prompting import build_messages
from retrain.arithmetic import answers_rightly, asked_result, evaluate, sums_in
from retrain.dataset.rows import Source, TrainingRow
from retrain.evals.matching import holds_any
from retrain.evals.task import Example

_MAX_DECIMALS = 4


@dataclass(frozen=True, kw_only=True)
class ArithmeticTask:
    """Share of sums answered rightly."""

    sums: Sequence[Example]
    name: str = "arithmetic"

    def examples(self) -> Sequence[Example]:
        """Returns the sums."""
        return self.sums

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer gives the result.

        Wordings that we cannot compute ourselves are compared with the accepted texts.
        """
        right = answers_rightly(example.question, answer)
        if right is None and asked_result(example.question) is None:
            return holds_any(answer, example.accepted)
        return right is True


def stated_sums(rows: Sequence[TrainingRow], limit: int = 200) -> list[Example]:
    """Makes a never-break probe of every sum that training rows state or ask.

    Replay rows are left out: they are generic dialogue that was there before. Probes are sorted
    and cut to `limit`.

    Args:
        rows: The training rows of a version.
        limit: The most probes to make.
    """
    expressions: dict[str, None] = {}
    for row in rows:
        if row.source is not Source.REPLAY:
            last = row.messages[-1].content
            for expression in (*sums_in(last), *sums_in(row.completion)):
                expressions[expression] = None
    short = [e for e in sorted(expressions) if _decimals(evaluate(e)) <= _MAX_DECIMALS]
    return [sum_example(expression) for expression in short[:limit]]


def sum_example(expression: str, *, never_break: bool = True) -> Example:
    """Returns the probe "What is <expression>?"."""
    question = f"What is {expression}?"
    result = evaluate(expression)
    return Example(
        id=f"sum:{expression}",
        question=question,
        messages=tuple(build_messages(question, ())),
        accepted=() if result is None else (format(result.normalize(), "f"),),
        never_break=never_break,
    )


def _decimals(value: Decimal | None) -> int:
    if value is None:
        return _MAX_DECIMALS + 1
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else _MAX_DECIMALS + 1
