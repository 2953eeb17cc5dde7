"""Challengers that share one champion at the same time, and the same kind one after another.

Everybody is in the last stage, so threads fall on the champion and on each challenger equally
often; each challenger's experiment sees the champion's ratings and its own. 40 ratings a day, and
as in production each counts three days late. Nothing else waits for a day to pass.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.experiments import evidence
from retrain.experiments.policy import ExperimentPolicy
from tests.benchmarks.experiment_streams import BATCH, DAILY, Floats, Ints

_ALONE = ExperimentPolicy()
LATE = round(DAILY * _ALONE.maturity_hours / 24)
"""Ratings until an outcome counts: those of three days."""
FUTILITY_FROM = round(DAILY * _ALONE.futility_from_day)
"""Ratings until day 7, from which on futility ends experiments."""
TIMEOUT = round(DAILY * _ALONE.timeout_days)
"""Ratings until day 28, when an experiment that runs alone is over."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Rated threads of many runs, arrays of shape (runs, n).

    Attributes:
        arm: 0 is the champion, k the k-th challenger.
        outcome: 1 liked, 0 not.
        policy: With the number of challengers.
    """

    arm: Ints
    outcome: Floats
    policy: ExperimentPolicy


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What decides each experiment of a crowd, arrays of shape (runs, challengers).

    Attributes:
        promoted: Draw whose outcome promotes; the number of draws without one.
        left: Draw whose outcome tells harm or futility; the number of draws without one.
        clock: Ratings after each draw, shape (runs, draws).
    """

    promoted: Ints
    left: Ints
    clock: Ints


@dataclass(frozen=True, kw_only=True)
class Promotions:
    """The first promotion of each run, arrays of shape (runs,).

    Attributes:
        at: Ratings of all arms until then; infinity without one.
        winner: Position of the promoted challenger; -1 without one.
    """

    at: Floats
    winner: Ints

    @classmethod
    def of(cls, at: Floats) -> "Promotions":
        """Takes when each challenger is promoted, shape (runs, challengers); infinity if never."""
        first = at.min(axis=1)
        return cls(at=first, winner=np.where(np.isfinite(first), at.argmin(axis=1), -1))

    @property
    def summary(self) -> dict[str, float]:
        """Median ratings, how many runs promoted anybody and how many of those the first one."""
        someone = self.winner[self.winner >= 0]
        return {
            "median_ratings": float(np.median(self.at)),
            "promoted": round(len(someone) / len(self.winner), 5),
            "right": round(float((someone == 0).mean()), 5),
        }


def crowds(
    seed: int, *, runs: int, n: int, lifts: Sequence[float], base: float = 0.7
) -> Iterator[Crowd]:
    """Yields batches of independent runs: the k-th challenger is liked with base + its lift."""
    rng = np.random.default_rng(seed)
    rates = base + np.array([0.0, *lifts])
    policy = replace(ExperimentPolicy(), challengers=len(lifts))
    for start in range(0, runs, BATCH):
        arm = rng.integers(0, len(rates), (min(BATCH, runs - start), n))
        liked = (rng.random(arm.shape) < rates[arm]).astype(np.float64)
        yield Crowd(arm=arm, outcome=liked, policy=policy)


def together(batches: Iterable[Crowd], *, endless: bool = False) -> Promotions:
    """Returns the first promotions when all challengers run at the same time.

    They get (K + 1) / 2 times the days of one that runs alone: as many ratings for each.

    Args:
        batches: The draws.
        endless: Neither harm nor futility nor time ends an experiment, only the last draw.
    """
    found = []
    for crowd in batches:
        end, (runs, n) = ends(crowd, endless=endless), crowd.arm.shape
        limit = math.inf if endless else TIMEOUT * (crowd.policy.challengers + 1) / 2
        at = LATE + end.clock[np.arange(runs)[:, None], np.minimum(end.promoted, n - 1)]
        found.append(np.where((end.promoted < n) & (at <= limit), at, math.inf))
    return Promotions.of(np.concatenate(found))


def one_after_another(seed: int, runs: int, lifts: Sequence[float]) -> Promotions:
    """Returns the first promotions when challengers have the traffic in turn, in random order.

    Each shares it evenly with the champion until promotion, harm, futility or day 28.
    """
    n = TIMEOUT - LATE
    when, spent = [], []
    for number, lift in enumerate(lifts):
        found = [ends(crowd) for crowd in crowds(seed + number, runs=runs, n=n, lifts=[lift])]
        promoted = np.concatenate([each.promoted for each in found])[:, 0]
        left = np.concatenate([each.left for each in found])[:, 0]
        when.append(np.where(promoted < n, promoted + 1.0 + LATE, math.inf))
        spent.append(np.minimum(np.minimum(promoted, left) + 1.0 + LATE, TIMEOUT))
    return in_turn(seed, promoted=np.column_stack(when), over=np.column_stack(spent))


def in_turn(seed: int, *, promoted: Floats, over: Floats) -> Promotions:
    """Returns the first promotions when each begins after another is over, in random order.

    Args:
        seed: Of the order.
        promoted: Ratings from a challenger's own beginning until its promotion, shape (runs,
            challengers); infinity if never.
        over: Ratings until its end, whatever it is.
    """
    order = np.argsort(np.random.default_rng(seed).random(over.shape), axis=1)
    cost = np.take_along_axis(over, order, axis=1)
    start = np.empty_like(cost)
    np.put_along_axis(start, order, np.cumsum(cost, axis=1) - cost, axis=1)
    return Promotions.of(start + promoted)


def ends(crowd: Crowd, *, endless: bool = False) -> Ends:
    """Returns what decides each experiment.

    Draws that fall on a challenger who left do not take place: those who stay share the traffic
    equally again, and the rows of an experiment are the same whoever else leaves.
    """
    runs, n = crowd.arm.shape
    count = crowd.policy.challengers
    experiments = [_Experiment.of(crowd, k + 1) for k in range(count)]
    promoted = np.column_stack([each.promoted for each in experiments])
    left = gone = np.full((runs, count), n)
    clock = _clock(crowd, gone)
    if not endless:
        harmed = np.column_stack([each.harmed for each in experiments])
        futile = [each.futile for each in experiments]
        # When one leaves depends on who left before: each round settles one more of them.
        for _ in range(count):
            week = (clock < FUTILITY_FROM - LATE).sum(axis=1)
            told = [each.first(hits, week) for each, hits in zip(experiments, futile, strict=True)]
            left = np.minimum(harmed, np.column_stack(told))
            gone = _later(clock, left)
            clock = _clock(crowd, gone)
    return Ends(promoted=np.where(promoted < left, promoted, n), left=left, clock=clock)


def _clock(crowd: Crowd, gone: Ints) -> Ints:
    """Returns how many ratings there were after each draw, shape (runs, n)."""
    runs, n = crowd.arm.shape
    until = np.column_stack([np.full(runs, n), gone])
    return np.cumsum(np.arange(n) <= np.take_along_axis(until, crowd.arm, axis=1), axis=1)


def _later(clock: Ints, draws: Ints) -> Ints:
    """Returns the draws at which the outcomes of others count, shape (runs, challengers)."""
    runs, n = clock.shape
    due = clock[np.arange(runs)[:, None], np.minimum(draws, n - 1)] + LATE
    after = np.column_stack([(clock < each[:, None]).sum(axis=1) for each in due.T])
    return np.where(draws < n, after, n)


@dataclass(frozen=True, kw_only=True)
class _Experiment:
    """The champion's ratings and one challenger's, shape (runs, longest), short runs filled up.

    `at` is each row's draw; the number of draws, `never`, where a row only fills up.
    """

    rows: evidence.Rows
    at: Ints
    never: int
    policy: ExperimentPolicy

    @classmethod
    def of(cls, crowd: Crowd, challenger: int) -> "_Experiment":
        part = (crowd.arm == 0) | (crowd.arm == challenger)
        order = np.argsort(~part, axis=1, kind="stable")[:, : part.sum(axis=1).max()]
        arm = (np.take_along_axis(crowd.arm, order, axis=1) == challenger).astype(np.int64)
        outcome = np.take_along_axis(crowd.outcome, order, axis=1)
        never = part.shape[1]
        return cls(
            rows=evidence.Rows.of(arm, np.full(arm.shape, 0.5), outcome, crowd.policy),
            at=np.where(np.take_along_axis(part, order, axis=1), order, never),
            never=never,
            policy=crowd.policy,
        )

    @property
    def promoted(self) -> Ints:
        log_e = evidence.promote_log_e(self.rows, self.policy)
        return self.first(log_e >= math.log(self.policy.promote_threshold))

    @property
    def harmed(self) -> Ints:
        log_e = evidence.harm_log_e(self.rows, self.policy)
        return self.first(log_e >= math.log(self.policy.stop_threshold))

    @property
    def futile(self) -> NDArray[np.bool_]:
        """After which rows futility would end it, whatever the day."""
        margin = self.policy.futility_margin_low_traffic
        log_e = evidence.at_least_log_e(self.rows, margin, self.policy)
        futile: NDArray[np.bool_] = log_e >= math.log(self.policy.stop_threshold)
        return futile

    def first(self, hits: NDArray[np.bool_], begin: Ints | None = None) -> Ints:
        """Returns the draw of each run's first hit, from the draw `begin` on."""
        since = hits if begin is None else hits & (self.at >= begin[:, None])
        found: Ints = np.where(since, self.at, self.never).min(axis=1)
        return found
