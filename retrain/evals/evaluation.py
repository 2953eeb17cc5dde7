"""The result of an evaluation: metrics with intervals, and every single outcome behind them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from feedback.errors import InvalidInputError

Z_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One example that went wrong."""

    example_id: str
    question: str
    answer: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric, higher is better.

    Attributes:
        value: Mean outcome, 0..1; 0 when there are no examples.
        n: Examples.
        groups: Independent groups among them.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        failures: A sample of what went wrong.
    """

    value: float
    n: int
    groups: int
    low: float
    high: float
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One example under one model.

    Attributes:
        score: 0..1; 1 is right.
    """

    example_id: str
    group: str
    score: float
    question: str
    answer: str
    expected: str
    never_break: bool = False
    slices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What one model did on all tasks.

    Attributes:
        model: Names the model or adapter.
        outcomes: By metric name, in the order of the task's examples.
        seconds_per_answer: Wall time of generating, batched, on the machine that evaluated.
        words_per_answer: Mean length of the distinct answers.
    """

    model: str
    metrics: Mapping[str, Metric]
    outcomes: Mapping[str, tuple[Outcome, ...]]
    seconds_per_answer: float = 0.0
    words_per_answer: float = 0.0

    def value(self, metric: str) -> float:
        """Returns a metric's value.

        Raises:
            InvalidInputError: When it was not measured.
        """
        if metric not in self.metrics:
            raise InvalidInputError(
                f"{metric!r} was not measured; there are {', '.join(sorted(self.metrics))}"
            )
        return self.metrics[metric].value

    def to_row(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        return {
            "model": self.model,
            "seconds_per_answer": self.seconds_per_answer,
            "words_per_answer": self.words_per_answer,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "outcomes": {
                name: [asdict(outcome) for outcome in outcomes]
                for name, outcomes in self.outcomes.items()
            },
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Evaluation":
        """Reads what `to_row` wrote."""
        return cls(
            model=str(row["model"]),
            seconds_per_answer=float(row["seconds_per_answer"]),
            words_per_answer=float(row["words_per_answer"]),
            metrics={
                name: Metric(
                    **{**metric, "failures": tuple(Failure(**f) for f in metric["failures"])}
                )
                for name, metric in row["metrics"].items()
            },
            outcomes={
                name: tuple(
                    Outcome(**{**outcome, "slices": tuple(outcome.get("slices", ()))})
                    for outcome in outcomes
                )
                for name, outcomes in row["outcomes"].items()
            },
        )


def measure(outcomes: Sequence[Outcome], sample: int = 10) -> Metric:
    """Summarises outcomes with a 95 % Wilson interval at the effective sample size.

    Paraphrases are not independent, so the interval is computed at n divided by the design effect
    of the groups (linearised ratio variance). With all outcomes equal that effect cannot be
    estimated, and the number of groups is taken as the effective size.
    """
    n = len(outcomes)
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.group].append(outcome.score)
    if n == 0:
        return Metric(value=0.0, n=0, groups=0, low=0.0, high=1.0)
    value = sum(outcome.score for outcome in outcomes) / n
    low, high = wilson(value, _effective_size(value, n, list(groups.values())))
    failures = tuple(
        Failure(
            example_id=outcome.example_id,
            question=outcome.question,
            answer=outcome.answer,
            expected=outcome.expected,
        )
        for outcome in outcomes
        if outcome.score < 1
    )
    return Metric(
        value=value, n=n, groups=len(groups), low=low, high=high, failures=failures[:sample]
    )


def wilson(share: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Returns the score interval of a share (Wilson 1927), 0..1."""
    if n <= 0:
        return 0.0, 1.0
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _effective_size(value: float, n: int, groups: Sequence[Sequence[float]]) -> float:
    count = len(groups)
    if count == n:
        return float(n)
    independent = value * (1 - value) / n
    if count < 2 or independent <= 0:
        return float(count)
    residuals = (sum(score - value for score in scores) for scores in groups)
    clustered = sum(r * r for r in residuals) / (n * n) * count / (count - 1)
    effect = max(1.0, clustered / independent)
    return max(1.0, n / effect)
