"""What an evaluation task is: examples, and a mechanical check of an answer.

One file of this package per task. Answers come from generation and nothing else: training loss and
preference margins reach perfection without one answer changing, so they are never measured here.
The likelihood of frozen generic dialogues is the one exception: it can only stop a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from feedback.ports import Message


@dataclass(frozen=True, kw_only=True)
class Example:
    """One prompt with what is known about its right answer.

    Attributes:
        id: Unique within the task; the champion and the challenger are paired by it.
        question: The bare question, for checks and reports.
        messages: What the model sees.
        group: Examples of one group (paraphrases, one intent) are not independent; empty means
            that the example stands alone.
        reference: A right answer in full, when there is one.
        facts: Texts of which a right answer holds all.
        accepted: Texts of which a right answer holds at least one.
        sources: Texts that the answer may draw on.
        should_decline: Whether the right answer is to decline or to hand over.
        never_break: Whether losing this single example stops the challenger.
        slices: Parts of the whole that it belongs to, as `name: value`; each is judged by itself.
    """

    id: str
    question: str
    messages: tuple[Message, ...]
    group: str = ""
    reference: str = ""
    facts: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    should_decline: bool = False
    never_break: bool = False
    slices: tuple[str, ...] = ()

    @property
    def cluster(self) -> str:
        """The group for intervals."""
        return self.group or self.id

    @property
    def expected(self) -> str:
        """The right answer in words, for reports."""
        if self.should_decline:
            return "declines or hands over"
        return self.reference or " and ".join(self.facts) or " or ".join(self.accepted)


class Task(Protocol):
    """One thing that is measured."""

    @property
    def name(self) -> str:
        """The metric's name in evaluations, gates and reports."""
        ...

    def examples(self) -> Sequence[Example]:
        """Returns the examples, the same ones in the same order at every call."""
        ...

    def check(self, example: Example, answer: str) -> bool | float:
        """Returns whether the answer is right, or how right it is, 0..1. Higher is better."""
        ...


@runtime_checkable
class JointTask(Protocol):
    """One thing that only several answers together show."""

    @property
    def name(self) -> str:
        """The metric's name."""
        ...

    def examples(self) -> Sequence[Example]:
        """Returns the examples, the same ones in the same order at every call."""
        ...

    def check_together(self, answers: Mapping[str, str]) -> Mapping[str, float]:
        """Returns scores, 0..1, by example id, of the examples that count by themselves.

        Args:
            answers: By example id, every one of `examples()`.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """How a model takes a given answer to a prompt, in nats a token of the answer.

    Attributes:
        surprise: Negative log-likelihood.
        divergence: Kullback-Leibler divergence of the base's distribution to the model's.
    """

    surprise: float
    divergence: float


class LikelihoodTask(Protocol):
    """One thing that is measured without generating: examples carry the answer as reference."""

    @property
    def name(self) -> str:
        """The metric's name."""
        ...

    def examples(self) -> Sequence[Example]:
        """Returns the dialogues."""
        ...

    def score(self, likelihood: Likelihood) -> float:
        """Returns the score of one dialogue, 0..1. Higher is better."""
        ...
