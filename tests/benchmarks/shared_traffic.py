"""Several challengers on stage, from rating to rating: a rule splits the traffic among them.

What `several_challengers` works out in whole arrays needs the draws beforehand; here they depend
on what was seen. As in production: 40 ratings a day, each counts three days late; a ramp of 5 and
25 % for a day and two; harm ends an experiment, futility does from day 7; nobody is promoted
before day 10; each experiment has (K + 1)/2 times the days of one alone.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.experiments.policy import ExperimentPolicy
from tests.benchmarks.allocations import Known, Rule, parts_of
from tests.benchmarks.experiment_streams import DAILY, RAMP, Floats
from tests.benchmarks.several_challengers import FUTILITY_FROM, LATE, TIMEOUT, Promotions

EARLIEST = FUTILITY_FROM + LATE
"""Ratings until somebody may be promoted: a thread of day 7 has counted."""
BLOCK = 20
"""Ratings after which a rule hears what has been learnt."""
BATCH = 500
"""Runs simulated at once: few enough for their arrays to stay in the processor's cache."""
Flags = NDArray[np.bool_]


class Bets:
    """The e-processes of `evidence` for K experiments of many runs, one rating at a time.

    Arrays of shape (runs, K); the capitals of shape (runs, K, bets) begin with the bets' weights.
    """

    def __init__(self, runs: int, policy: ExperimentPolicy) -> None:
        self._policy = policy
        self._bets = np.array(policy.bets)
        shape = (runs, policy.challengers)
        self._liked, self._rated = np.zeros(shape), np.zeros(shape)
        self._promote, self._harm, self._futile = (
            np.tile(np.array(policy.bet_weights), (*shape, 1)) for _ in range(3)
        )

    @property
    def promote(self) -> Floats:
        """E against "no positive lift"."""
        return _total(self._promote)

    @property
    def harm(self) -> Floats:
        """E against "no negative lift"."""
        return _total(self._harm)

    @property
    def futile(self) -> Floats:
        """E against "the lift is worth finding"."""
        return _total(self._futile)

    def add(self, *, challenger: Flags, share: Floats, outcome: Floats, counts: Flags) -> None:
        """Bets on one more rating.

        Args:
            challenger: A, whether this experiment's challenger was rated.
            share: pi of this experiment.
            outcome: y, shape (runs, 1).
            counts: Whether the rating is one of this experiment's.
        """
        policy = self._policy
        centre = np.clip(
            (policy.prior_weight * policy.p_hist + self._liked)
            / (policy.prior_weight + self._rated),
            policy.clip,
            1.0 - policy.clip,
        )
        variance = centre * (1.0 - centre)
        rest = 1.0 - share
        lean = (challenger - share) * (outcome - centre)
        largest = np.maximum(share, rest) * np.maximum(centre, 1.0 - centre) / variance
        stake = np.minimum(self._bets, (policy.bet_cap / largest)[..., None])
        gain = stake * np.where(counts, lean / variance, 0.0)[..., None]
        self._promote *= 1.0 + gain
        self._harm *= 1.0 - gain

        margin, scale = policy.futility_margin_low_traffic, share * rest
        room = np.maximum(rest * (1.0 - centre), share * centre) / scale - margin
        stake = np.minimum(
            self._bets * (scale / variance)[..., None], (policy.bet_cap / room)[..., None]
        )
        self._futile *= 1.0 + stake * np.where(counts, margin - lean / scale, 0.0)[..., None]
        self._liked += counts * outcome
        self._rated += counts


def _total(capital: Floats) -> Floats:
    total: Floats = capital.sum(axis=2)
    return total


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """How many runs went.

    Attributes:
        promotions: The first of each run.
        over: Ratings until that, the last leaving, or the end of time; shape (runs,).
    """

    promotions: Promotions
    over: Floats


def simulate(
    seed: int, *, runs: int, lifts: Sequence[float], rule: Rule, base: float = 0.7
) -> Simulated:
    """Simulates independent runs: the k-th challenger is liked with base + its lift."""
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, runs, BATCH):
        stage = Stage(rng, min(BATCH, runs - start), lifts=lifts, rule=rule, base=base)
        parts.append(stage.played())
    return Simulated(
        promotions=Promotions(
            at=np.concatenate([each.promotions.at for each in parts]),
            winner=np.concatenate([each.promotions.winner for each in parts]),
        ),
        over=np.concatenate([each.over for each in parts]),
    )


def ramped(on_stage: Flags, share: float) -> Floats:
    """Returns the parts of all arms when each challenger has `share` of its own experiment."""
    weights = on_stage * np.array([1.0] + [share / (1.0 - share)] * (on_stage.shape[1] - 1))
    return parts_of(weights)


class Stage:
    """One batch of runs. Arrays have a row a run; column 0 of those over arms is the champion."""

    def __init__(
        self,
        rng: np.random.Generator,
        runs: int,
        *,
        lifts: Sequence[float],
        rule: Rule,
        base: float,
    ) -> None:
        self._rng, self._rule = rng, rule
        self._rates = base + np.array([0.0, *lifts])
        self._policy = replace(ExperimentPolicy(), challengers=len(lifts))
        self._limit = TIMEOUT * (len(lifts) + 1) // 2
        self.bets = Bets(runs, self._policy)
        shape = (runs, len(self._rates))
        self._liked, self._rated = np.zeros(shape), np.zeros(shape)
        self._left = np.full((runs, len(lifts)), math.inf)
        self._at, self._winner = np.full(runs, math.inf), np.full(runs, -1)
        self._counting: deque[tuple[Floats, Floats]] = deque(maxlen=LATE // BLOCK + 1)
        self._on_stage = np.zeros(shape, dtype=np.bool_)
        self._parts = np.zeros(shape)

    def played(self) -> Simulated:
        """Plays until every run is over."""
        runs = len(self._at)
        for t in range(self._limit - LATE):
            if t % BLOCK == 0:
                luck = self._rng.random((BLOCK, 2, runs))
            self._split(t)
            self._rate(*luck[t % BLOCK])
            self._look(t + 1 + LATE)
            if (np.isfinite(self._at) | np.isfinite(self._left).all(axis=1)).all():
                break
        over = np.minimum(np.minimum(self._at, self._left.max(axis=1)), self._limit)
        return Simulated(promotions=Promotions(at=self._at, winner=self._winner), over=over)

    def _split(self, t: int) -> None:
        """Works out the parts where somebody left, and everywhere after a block."""
        on_stage = np.column_stack([np.ones(len(self._at), dtype=np.bool_), self._left > t])
        changed = (on_stage != self._on_stage).any(axis=1) | (t % BLOCK == 0)
        if t % BLOCK == 0:
            self._counting.append((self._liked.copy(), self._rated.copy()))
        self._on_stage = on_stage
        changed &= on_stage[:, 1:].any(axis=1)
        if not changed.any():
            return
        share = next(share for day, share in reversed(RAMP) if t >= day * DAILY)
        if share < self._policy.final_share:
            self._parts[changed] = ramped(on_stage[changed], share)
        else:
            liked, rated = self._counting[0]
            self._parts[changed] = self._rule(
                Known(liked=liked[changed], rated=rated[changed], on_stage=on_stage[changed])
            )

    def _rate(self, where: Floats, how: Floats) -> None:
        """Rates one thread of each run; uniform draws say whose it is and whether it is liked."""
        before = np.cumsum(self._parts, axis=1)[:, :-1]
        arm = (where[:, None] >= before).sum(axis=1)
        outcome = (how < self._rates[arm]).astype(np.float64)[:, None]
        rated = arm[:, None] == np.arange(len(self._rates))
        stays = self._on_stage[:, 1:]
        share = np.where(stays, self._parts[:, 1:] / (self._parts[:, 1:] + self._parts[:, :1]), 0.5)
        self.bets.add(
            challenger=rated[:, 1:],
            share=share,
            outcome=outcome,
            counts=(rated[:, :1] | rated[:, 1:]) & stays,
        )
        self._liked += rated * outcome
        self._rated += rated

    def _look(self, now: int) -> None:
        """Promotes and ends, once the newest rating counts."""
        evidence = self.bets.promote
        ready = (evidence >= self._policy.promote_threshold) & (now <= self._left)
        if now >= EARLIEST and ready.any():
            first = ready.any(axis=1) & np.isinf(self._at)
            self._at[first] = now
            self._winner[first] = np.where(ready, evidence, -1.0).argmax(axis=1)[first]
        ends = self.bets.harm >= self._policy.stop_threshold
        if now >= FUTILITY_FROM:
            ends |= self.bets.futile >= self._policy.stop_threshold
        self._left[ends & np.isinf(self._left)] = now
