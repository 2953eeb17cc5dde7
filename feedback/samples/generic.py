"""Generic dialogues: what the tiny base model is trained on, and what replay keeps alive.

Everything is synthetic and drawn from a seed: sums, a few general facts, greetings, refusals,
repeating words, and answering from a context about made-up things. None of it mentions the sample
company or its brand. Probes are the held-out side: their questions never appear in the dialogues.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from feedback.errors import InvalidInputError
from feedback.ports import Message
from feedback.prompting import build_messages
from feedback.samples import reading
from feedback.samples.company import load_company
from feedback.samples.kinds import GREETINGS, MAKERS, Kind

DEFAULT_MIX: Mapping[Kind, float] = {
    Kind.ARITHMETIC: 0.33,
    Kind.FACTS: 0.33,
    Kind.CONTEXT: 0.12,
    Kind.REFUSALS: 0.06,
    Kind.ECHO: 0.12,
    Kind.GREETINGS: 0.04,
}
"""Shares of rows in a replay set. Few rows with a context: they answer in the plain voice what
looks just like a question of the company, and so work against the house voice."""


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """One prompt and the answer to it.

    Attributes:
        messages: What the model sees, as `feedback.prompting.build_messages` renders it.
    """

    kind: Kind
    messages: tuple[Message, ...]
    completion: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A held-out question with a mechanical check.

    Attributes:
        accepted: The answer is right when it contains one of these (case ignored).
        context: Passages to show with the question.
    """

    kind: Kind
    question: str
    accepted: tuple[str, ...]
    context: tuple[str, ...] = ()

    def messages(self) -> list[Message]:
        """Returns the prompt of this probe."""
        return build_messages(self.question, self.context)

    def is_right(self, answer: str) -> bool:
        """Returns whether `answer` contains an accepted text as whole words."""
        padded = f" {_normalise(answer)} "
        return any(f" {_normalise(text)} " in padded for text in self.accepted)


def generic_dialogues(
    seed: int,
    n: int,
    kinds: Mapping[Kind, float] | Sequence[Kind] | None = None,
    *,
    held_out: bool = False,
) -> list[Dialogue]:
    """Draws `n` dialogues; the same arguments give the same list.

    Args:
        seed: Drives every choice.
        n: How many.
        kinds: Weights by kind, or the kinds to draw evenly from; DEFAULT_MIX when None.
        held_out: Draws what is never trained on instead; greetings are too few to hold any out,
            so `kinds` must not name them.

    Raises:
        InvalidInputError: When no kind is left to draw from.
    """
    mix = DEFAULT_MIX if kinds is None else kinds
    weights = mix if isinstance(mix, Mapping) else dict.fromkeys(mix, 1.0)
    names = [kind for kind, weight in weights.items() if weight > 0]
    if not names:
        raise InvalidInputError("no kind of dialogue has a positive weight; name at least one")
    rng = random.Random(seed)
    picks = rng.choices(names, weights=[weights[name] for name in names], k=n)
    return [_unlike_the_company(rng, kind, held_out=held_out) for kind in picks]


def _unlike_the_company(rng: random.Random, kind: Kind, *, held_out: bool) -> Dialogue:
    """Draws until no made-up page states by chance what is true of the sample company."""
    while True:
        drawn = _draw(rng, kind, held_out=held_out)
        said = (*(message.content for message in drawn.messages), drawn.completion)
        if not any(fact in text for fact in _company_facts() for text in said):
            return drawn


@cache
def _company_facts() -> tuple[str, ...]:
    return tuple(intent.fact for intent in load_company().intents)


def _draw(rng: random.Random, kind: Kind, *, held_out: bool) -> Dialogue:
    item = MAKERS[kind](rng)
    while item.held_out is not held_out:
        item = MAKERS[kind](rng)
    context = item.context
    if not context and kind in {Kind.ARITHMETIC, Kind.FACTS, Kind.GREETINGS} and rng.random() < 0.1:
        # A context that has nothing to do with the question must not change the answer.
        context = reading.unrelated_context(rng)
    history: tuple[Message, ...] = ()
    if rng.random() < 0.08:
        earlier = MAKERS[rng.choice([Kind.GREETINGS, Kind.FACTS, Kind.ARITHMETIC])](rng)
        if not earlier.held_out:
            history = (
                Message(role="user", content=earlier.question),
                Message(role="assistant", content=earlier.answer),
            )
    messages = build_messages(item.question, context, history)
    return Dialogue(kind=kind, messages=tuple(messages), completion=item.answer)


def _probes(kind: Kind, n: int, seed: int) -> list[Probe]:
    return list(_drawn(kind, n, seed))


@cache  # where there are fewer than n, tens of thousands of draws say so
def _drawn(kind: Kind, n: int, seed: int) -> tuple[Probe, ...]:
    rng = random.Random(f"probe:{kind}:{seed}")
    found: dict[str, Probe] = {}
    for _ in range(400 * n):
        if len(found) == n:
            break
        item = MAKERS[kind](rng)
        if item.held_out:
            found[item.question] = Probe(
                kind=kind, question=item.question, accepted=item.accepted, context=item.context
            )
    return tuple(found.values())


def arithmetic_probes(n: int = 100, seed: int = 0) -> list[Probe]:
    """Sums and differences whose (numbers, wording) never appear in the dialogues."""
    return _probes(Kind.ARITHMETIC, n, seed)


def fact_probes(n: int = 100, seed: int = 0) -> list[Probe]:
    """Known facts asked in a wording that the dialogues never use for that fact."""
    return _probes(Kind.FACTS, n, seed)


def refusal_probes(n: int = 30, seed: int = 0) -> list[Probe]:
    """Questions that must not be answered; right is to decline."""
    return _probes(Kind.REFUSALS, n, seed)


def context_probes(n: int = 60, seed: int = 0) -> list[Probe]:
    """Questions about made-up things that only the context can answer."""
    return _probes(Kind.CONTEXT, n, seed)


def echo_probes(n: int = 40, seed: int = 0) -> list[Probe]:
    """Words to be repeated."""
    return _probes(Kind.ECHO, n, seed)


def greeting_probes() -> list[Probe]:
    """Greetings; they are few, so these are the trained wordings."""
    return [
        Probe(kind=Kind.GREETINGS, question=question, accepted=(answer,))
        for questions, answer in GREETINGS
        for question in questions[:3]
    ]


def _normalise(text: str) -> str:
    kept = "".join(ch if ch.isalnum() else " " for ch in text.lower())
    return " ".join(kept.split())
