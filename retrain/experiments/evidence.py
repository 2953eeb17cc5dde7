"""The formulas: e-processes in logs, as vectorised functions of rows.

Rows run along the last axis, so one call serves one experiment (n,) or many simulated ones
(runs, n). Every function returns log E after each row. Under its null hypothesis each E is a
nonnegative supermartingale that starts at 1, so the chance that it ever reaches 1/alpha is at
most alpha (Ville), however often one looks.

Sums are running sums, so the value after a row never depends on the rows behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.experiments.policy import ExperimentPolicy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Thread outcomes in order of processing, arrays of shape (..., n).

    Attributes:
        arm: A, 1 = challenger.
        share: pi, the challenger share when the thread began, in (0, 1).
        outcome: y in [0, 1].
        centre: m, the running centre, known before the row.
    """

    arm: NDArray[np.integer]
    share: Floats
    outcome: Floats
    centre: Floats

    @classmethod
    def of(
        cls, arm: NDArray[np.integer], share: Floats, outcome: Floats, policy: ExperimentPolicy
    ) -> "Rows":
        """Adds the centre."""
        return cls(arm=arm, share=share, outcome=outcome, centre=centre(outcome, policy))


def centre(outcome: Floats, policy: ExperimentPolicy) -> Floats:
    """Returns m_i = (w p_hist + sum of earlier y) / (w + i - 1), clipped; shape of `outcome`."""
    before = np.zeros_like(outcome)
    np.cumsum(outcome[..., :-1], axis=-1, out=before[..., 1:])
    seen = np.arange(outcome.shape[-1], dtype=np.float64)
    weight = policy.prior_weight
    return np.clip(
        (weight * policy.p_hist + before) / (weight + seen), policy.clip, 1.0 - policy.clip
    )


def promote_log_e(rows: Rows, policy: ExperimentPolicy) -> Floats:
    """H0: no positive lift. Betting on X = (A - pi)(y - m)/v, v = m(1-m)."""
    return _mixture(_standard(rows), _standard_stakes(rows, policy), policy.bet_weights)


def harm_log_e(rows: Rows, policy: ExperimentPolicy) -> Floats:
    """H0: no negative lift. The same bets on -X."""
    return _mixture(-_standard(rows), _standard_stakes(rows, policy), policy.bet_weights)


def at_least_log_e(rows: Rows, lift: float | Floats, policy: ExperimentPolicy) -> Floats:
    """H0: lift >= `lift`; large when the lift is smaller (futility, upper bound).

    Bets 1 - l(Z - d) on Z = (A - pi)(y - m)/(pi(1-pi)), whose mean given the past is the lift.
    Several lifts of shape (k, 1) give paths of shape (k, n).
    """
    up, down = rows.share, complement(rows.share)
    room = np.maximum(down * (1.0 - rows.centre), up * rows.centre) / (up * down) - lift
    return _mixture(
        lift - _lift_rows(rows), _shifted_stakes(rows, room, policy), policy.bet_weights
    )


def at_most_log_e(rows: Rows, lift: float | Floats, policy: ExperimentPolicy) -> Floats:
    """H0: lift <= `lift`; large when the lift is larger (lower bound). Bets 1 + l(Z - lift)."""
    up, down = rows.share, complement(rows.share)
    room = np.maximum(down * rows.centre, up * (1.0 - rows.centre)) / (up * down) + lift
    return _mixture(
        _lift_rows(rows) - lift, _shifted_stakes(rows, room, policy), policy.bet_weights
    )


def guard_log_e(arm: NDArray[np.integer], share: Floats, policy: ExperimentPolicy) -> Floats:
    """H0: bad-rate ratio challenger / champion <= M, from bad events alone.

    Which arm a bad event falls on is a coin of weight q0 = pi M / (pi M + 1 - pi) at the ratio M,
    and q_j at M rho_j. No denominators: traffic by hour does not matter.
    """
    down = complement(share)
    base = share * policy.guard_ratio
    return _coins(
        arm,
        null=base / (base + down),
        effects=[base * effect / (base * effect + down) for effect in policy.guard_effects],
        weights=policy.guard_weights,
    )


def srm_log_e(arm: NDArray[np.integer], share: Floats, policy: ExperimentPolicy) -> Floats:
    """H0: P(A = 1) = pi of each thread; q_j = pi s_j / (pi s_j + 1 - pi)."""
    down = complement(share)
    effects = policy.srm_effects
    return _coins(
        arm,
        null=share,
        effects=[share * effect / (share * effect + down) for effect in effects],
        weights=[1.0 / len(effects)] * len(effects),
    )


def pairs_log_e(won: NDArray[np.integer], policy: ExperimentPolicy) -> Floats:
    """H0: the challenger wins a decisive blind vote with probability 1/2 at most."""
    return _coins(
        won,
        null=np.full(won.shape, 0.5),
        effects=[np.full(won.shape, effect) for effect in policy.pair_effects],
        weights=policy.pair_weights,
    )


def lift_estimate(arm: NDArray[np.integer], share: Floats, outcome: Floats) -> float:
    """Returns mean((A - pi)(y - mean y)/(pi(1-pi))); 0 without rows."""
    if arm.size == 0:
        return 0.0
    weight = centred(arm, share) / (share * complement(share))
    return float(np.mean(weight * (outcome - np.mean(outcome))))


def complement(share: Floats) -> Floats:
    """Returns 1 - pi, rounded so that .05 and .95 are each other's complement exactly.

    Then swapping the arms swaps the promote and the harm evidence to the last bit.
    """
    return np.round(1.0 - share, 12)


def centred(arm: NDArray[np.integer], share: Floats) -> Floats:
    """Returns A - pi."""
    return np.where(arm == 1, complement(share), -share)


def _standard(rows: Rows) -> Floats:
    variance = rows.centre * (1.0 - rows.centre)
    return centred(rows.arm, rows.share) * (rows.outcome - rows.centre) / variance


def _standard_stakes(rows: Rows, policy: ExperimentPolicy) -> list[Floats]:
    up, down = rows.share, complement(rows.share)
    good, bad = rows.centre, 1.0 - rows.centre
    largest = np.maximum(np.maximum(down * good, up * bad), np.maximum(down * bad, up * good)) / (
        good * bad
    )
    cap = policy.bet_cap / largest
    return [np.minimum(bet, cap) for bet in policy.bets]


def _lift_rows(rows: Rows) -> Floats:
    scale = rows.share * complement(rows.share)
    return centred(rows.arm, rows.share) * (rows.outcome - rows.centre) / scale


def _shifted_stakes(rows: Rows, room: Floats, policy: ExperimentPolicy) -> list[Floats]:
    scale = rows.share * complement(rows.share) / (rows.centre * (1.0 - rows.centre))
    cap = policy.bet_cap / room
    return [np.minimum(bet * scale, cap) for bet in policy.bets]


def _mixture(values: Floats, stakes: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Returns log of sum_k w_k prod (1 + l_k x) after each row."""
    return _log_mean([np.cumsum(np.log1p(stake * values), axis=-1) for stake in stakes], weights)


def _coins(
    arm: NDArray[np.integer], *, null: Floats, effects: Sequence[Floats], weights: Sequence[float]
) -> Floats:
    """Returns log of sum_j w_j prod (q_j/q0)^A ((1-q_j)/(1-q0))^(1-A) after each row."""
    hit = arm == 1
    paths = []
    for effect in effects:
        chosen = np.where(hit, effect, 1.0 - effect) / np.where(hit, null, 1.0 - null)
        paths.append(np.cumsum(np.log(chosen), axis=-1))
    return _log_mean(paths, weights)


def _log_mean(paths: Sequence[Floats], weights: Sequence[float]) -> Floats:
    logs = [path + np.log(weight) for path, weight in zip(paths, weights, strict=True)]
    top = logs[0]
    for path in logs[1:]:
        top = np.maximum(top, path)
    total = np.zeros_like(top)
    for path in logs:
        total += np.exp(path - top)
    result: Floats = top + np.log(total)
    return result
