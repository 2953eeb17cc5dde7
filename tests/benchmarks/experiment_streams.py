"""Simulated ratings and whole experiments as arrays, for the benchmark of the engine."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.experiments.case import Case
from retrain.experiments.policy import ExperimentPolicy
from retrain.experiments.state import DAY, NEVER, Marks, Threads

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RAMP = ((0.0, 0.05), (1.0, 0.25), (3.0, 0.50))
"""Day from which each challenger share is in force."""
HOUR = 3600.0
DAILY = 40
"""Ratings a day at 200 threads a day of which a fifth is rated."""
BATCH = 50
"""Runs simulated at once: few enough for their arrays to stay in the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """Rated threads of many runs at an even split, arrays of shape (runs, n)."""

    arm: Ints
    outcome: Floats

    @property
    def share(self) -> Floats:
        """The even split, shape (runs, n)."""
        return np.full(self.arm.shape, 0.5)


def ratings(seed: int, *, runs: int, n: int, base: float, lift: float) -> Iterator[Ratings]:
    """Yields batches of independent runs: the challenger is liked with chance base + lift."""
    rng = np.random.default_rng(seed)
    for start in range(0, runs, BATCH):
        arm = (rng.random((min(BATCH, runs - start), n)) < 0.5).astype(np.int64)
        liked = rng.random(arm.shape) < base + lift * arm
        yield Ratings(arm=arm, outcome=liked.astype(np.float64))


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team's month: every thread gets one answer within a minute, some are rated.

    Attributes:
        rated: Share of threads that get a rating.
        bad: Chance of each bad score.
    """

    per_day: int = 200
    days: float = 28.0
    rated: float = 0.2
    base: float = 0.7
    lift: float = 0.0
    bad: float = 0.02
    users: int = 50


@dataclass(frozen=True, kw_only=True)
class Month:
    """One simulated run, arrays of shape (threads,), ordered by when threads began."""

    began: Floats
    share: Floats
    arm: Ints
    rated: NDArray[np.bool_]
    outcome: Floats
    user: Ints
    reply: Floats
    bad: NDArray[np.bool_]

    @property
    def rated_rows(self) -> tuple[Ints, Floats, Floats]:
        """Arm, share and outcome of the rated threads that mature, in order of processing."""
        end = self.began[-1] - 72 * HOUR
        use = self.rated & (self.began < end) & (self.reply < 72 * HOUR)
        return self.arm[use], self.share[use], self.outcome[use]


def month(rng: np.random.Generator, team: Team) -> Month:
    """Simulates one run."""
    n = int(team.per_day * team.days)
    began = np.sort(rng.random(n)) * team.days * DAY
    days = [day * DAY for day, _ in RAMP]
    share = np.array([share for _, share in RAMP])[np.searchsorted(days, began, side="right") - 1]
    arm = (rng.random(n) < share).astype(np.int64)
    outcome = (rng.random(n) < team.base + team.lift * arm).astype(np.float64)
    return Month(
        began=began,
        share=share,
        arm=arm,
        rated=rng.random(n) < team.rated,
        outcome=outcome,
        user=rng.integers(0, team.users, n),
        reply=60.0 + rng.exponential(5 * HOUR, n),
        bad=rng.random((n, 4)) < team.bad,
    )


def case_of(run: Month, policy: ExperimentPolicy) -> Case:
    """Returns a run as the engine sees it: what `state.fold` would make of its events."""
    n = len(run.began)
    rated = np.flatnonzero(run.rated)
    times = np.concatenate(
        [[0.0], run.began, run.began + 20, run.began + 30, (run.began + run.reply)[rated]]
    )
    order = np.argsort(times, kind="stable")
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    assigned, delivered, scored, voted = np.split(position[1:], [n, 2 * n, 3 * n])
    first_vote = np.full(n, NEVER, dtype=np.int64)
    first_vote[rated] = voted
    in_time = np.zeros(n, dtype=np.bool_)
    in_time[rated] = run.reply[rated] < 72 * HOUR
    up = run.outcome[rated] == 1.0
    threads = Threads(
        key_rank=np.arange(n),
        arm=run.arm,
        share=run.share,
        assigned=assigned,
        delivered=delivered,
        undelivered=np.full(n, NEVER, dtype=np.int64),
        bad=np.where(run.bad, scored[:, None], NEVER),
        known=np.repeat(scored[:, None], 4, axis=1),
        first_vote=first_vote,
        first_outcome=np.where(run.rated, run.outcome, np.nan),
        outcome=np.where(in_time, run.outcome, np.nan),
        corrected=np.zeros(n, dtype=np.bool_),
    )
    by_time = np.argsort(voted)
    marks = Marks(
        rated=np.column_stack([voted, rated, np.ones_like(rated)])[by_time],
        votes=np.column_stack([voted, np.where(up, 0, 1), run.arm[rated], np.ones_like(rated)])[
            by_time
        ],
        rater_thread=np.flatnonzero(in_time),
        rater=run.user[in_time],
        excluded=np.zeros(0, dtype=np.int64),
        looks=np.zeros(0, dtype=np.int64),
        end=NEVER,
        sha_changed=NEVER,
        pairs=np.zeros((0, 2), dtype=np.int64),
        stages=(),
    )
    return Case.assemble(policy, times[order], threads, marks)


def clustered(
    rng: np.random.Generator, *, threads: int, start: float, slope: float
) -> tuple[Ints, Floats, Floats]:
    """Returns arm, share and outcome of A/A threads that are as tangled as real ones.

    25 users whose leniency differs (sd .25), one to five rated answers a thread that agree with
    one another (sd .2), a base rate that moves while the ramp moves the split.

    Args:
        rng: Source of chance.
        threads: Rated threads, spread over 28 days.
        start: Base rate on day 0.
        slope: Its change a day, until it has moved by .3.
    """
    day = np.sort(rng.random(threads)) * 28.0
    share = np.array([s for _, s in RAMP])[
        np.searchsorted([start for start, _ in RAMP], day, side="right") - 1
    ]
    arm = (rng.random(threads) < share).astype(np.int64)
    base = start + slope * np.minimum(day, 0.3 / abs(slope))
    leniency = rng.normal(0, 0.25, 25)[rng.integers(0, 25, threads)]
    rate = np.clip(base + leniency + rng.normal(0, 0.2, threads), 0.0, 1.0)
    answers = rng.integers(1, 6, threads)
    return arm, share, rng.binomial(answers, rate) / answers
