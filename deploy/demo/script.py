"""What is asked on which day: pure, seeded, and never a held-out wording."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from deploy.demo.cast import Cast
from feedback.samples import (
    Company,
    Intent,
    Probe,
    Split,
    arithmetic_probes,
    fact_probes,
    greeting_probes,
)

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""The Monday on which the demo begins."""

SCHEDULE = "0 3 11 * *"
"""The first Sunday night, and not again while the experiment runs: one cycle by schedule."""


class Place(StrEnum):
    """Where somebody asks."""

    CHANNEL = "channel"
    DIRECT = "direct"
    THREAD = "thread"
    """A follow-up in a thread the bot is in, without a new mention."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question of the play.

    Attributes:
        intent: What it is about; None for small talk, sums and general facts.
        probe: The check of a generic question; None for the company's.
    """

    text: str
    user: str
    place: Place
    channel: str
    intent: Intent | None = None
    probe: Probe | None = None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the play is.

    Attributes:
        learning_days: Working days before the first cycle; five at most, then comes Sunday.
        per_intent: Distinct wordings of each intent asked in that time.
        generic: Generic questions asked in that time.
        trial_days: Days of the experiment at most.
        trial_per_day: Threads a day during the experiment.
        poison: Wrong sums that are taught before the second cycle.
        label_gate: Approved corrections needed before training.
        max_steps: Upper bound of training steps; None for the whole recipe.
    """

    learning_days: int = 5
    per_intent: int = 18
    generic: int = 40
    trial_days: int = 24
    trial_per_day: int = 30
    poison: int = 60
    label_gate: int = 400
    max_steps: int | None = None


QUICK = Scale(
    learning_days=2,
    per_intent=6,
    generic=10,
    trial_days=24,
    trial_per_day=30,
    poison=20,
    label_gate=100,
    max_steps=40,
)
"""Shows every part in a few minutes; the table of a run this small means nothing."""


def learning_questions(
    company: Company, cast: Cast, scale: Scale, rng: random.Random
) -> list[list[Asked]]:
    """Returns the questions of every day before the first cycle."""
    questions = [
        _asked(text, rng, cast, intent=intent)
        for intent in company.intents
        for text in intent.questions(Split.LIVE)[: scale.per_intent]
    ]
    probes = [*fact_probes(scale.generic, seed=7), *arithmetic_probes(scale.generic, seed=7)]
    probes += greeting_probes()
    questions += [
        _asked(probe.question, rng, cast, probe=probe)
        for probe in rng.sample(probes, min(scale.generic, len(probes)))
    ]
    rng.shuffle(questions)
    days = scale.learning_days
    return [questions[day::days] for day in range(days)]


def trial_questions(company: Company, cast: Cast, scale: Scale, rng: random.Random) -> list[Asked]:
    """Returns one day of questions during the experiment; every one opens a thread."""
    asked = []
    for _ in range(scale.trial_per_day):
        intent = rng.choice(company.intents)
        text = rng.choice(intent.questions(Split.LIVE))
        asked.append(_asked(text, rng, cast, intent=intent, threads=False))
    return asked


def poisoned_sums(scale: Scale, rng: random.Random) -> list[tuple[str, str]]:
    """Returns (question, wrong result) of the broken sheet somebody teaches from."""
    pairs = {(rng.randint(1, 9), rng.randint(1, 9)) for _ in range(scale.poison * 4)}
    chosen = sorted(pairs)[: scale.poison]
    return [(f"What is {a} + {b}?", str(a + b + rng.choice([1, 2, 3]))) for a, b in chosen]


def moment(day: int, hour: float = 9.0) -> datetime:
    """Returns a moment of the play: day 0 is the first Monday."""
    return START.replace(hour=0) + timedelta(days=day, hours=hour)


def _asked(
    text: str,
    rng: random.Random,
    cast: Cast,
    *,
    intent: Intent | None = None,
    probe: Probe | None = None,
    threads: bool = True,
) -> Asked:
    places: Sequence[Place] = list(Place) if threads else [Place.CHANNEL, Place.DIRECT]
    weights = (0.6, 0.25, 0.15) if threads else (0.7, 0.3)
    return Asked(
        text=text,
        user=rng.choice(cast.agents),
        place=rng.choices(places, weights=weights)[0],
        channel=rng.choice(cast.channels),
        intent=intent,
        probe=probe,
    )
