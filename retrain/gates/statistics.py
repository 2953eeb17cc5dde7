"""Statistics for two models on the same examples; standard library and numpy only."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_RESAMPLES = 4000


def mcnemar_p(gains: int, losses: int) -> float:
    """Returns the exact one-sided p-value of McNemar's test that gains outnumber losses by chance.

    The chance of at least `gains` heads in `gains + losses` fair flips (McNemar 1947).
    """
    flips = gains + losses
    if flips == 0:
        return 1.0
    ways = sum(math.comb(flips, k) for k in range(gains, flips + 1))
    return ways / (1 << flips)


def non_inferiority_z(gains: float, losses: float, n: float, margin: float) -> float:
    """Returns Tango's score statistic against "the new share is lower by at least `margin`".

    Large values reject that. Tango, "Equivalence test and confidence interval for the difference
    in proportions for the paired-sample design", Statistics in Medicine 17 (1998) 891-908; it stays
    valid with no discordant pair at all, where a plain z would divide by zero.

    Args:
        gains: Pairs that only the new model has right.
        losses: Pairs that only the old model has right.
        n: All pairs.
        margin: Tolerated fall, between 0 and 1.
    """
    delta = -margin
    a = 2 * n
    b = -gains - losses + (2 * n - gains + losses) * delta
    c = -losses * delta * (1 - delta)
    nuisance = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * nuisance + delta * (1 - delta))
    if variance <= 0:
        return 0.0
    return (gains - losses - n * delta) / math.sqrt(variance)


def quantile_z(alpha: float) -> float:
    """Returns the one-sided critical value of the standard normal distribution."""
    return NormalDist().inv_cdf(1 - alpha)


def effective_share(groups: Sequence[str], correlation: float) -> float:
    """Returns effective size / n for grouped examples, 0..1.

    Kish's design effect 1 + (m - 1) * correlation, with m the size-weighted mean group size. The
    correlation is assumed, not estimated, so that one more wrong answer can never make a gate
    easier to pass.
    """
    sizes: defaultdict[str, int] = defaultdict(int)
    for group in groups:
        sizes[group] += 1
    n = len(groups)
    if n == 0:
        return 1.0
    mean = sum(size * size for size in sizes.values()) / n
    return 1 / (1 + (mean - 1) * correlation)


def bootstrap_low(differences: Sequence[float], groups: Sequence[str], alpha: float) -> float:
    """Returns the lower one-sided bound of the mean difference, resampling whole groups.

    The draws are fixed, so that a smaller difference never gives a higher bound.
    """
    members: defaultdict[str, list[float]] = defaultdict(list)
    for difference, group in zip(differences, groups, strict=True):
        members[group].append(difference)
    sums = np.array([sum(values) for values in members.values()])
    sizes = np.array([len(values) for values in members.values()])
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    return float(np.quantile(means, alpha))


def pairs_for_mcnemar(gains: int, losses: int, n: int, alpha: float) -> int | None:
    """Returns how many pairs would be significant if these shares of gains and losses held.

    None when gains do not outnumber losses.
    """
    if gains <= losses:
        return None
    factor = 1.0
    while mcnemar_p(math.floor(gains * factor), math.ceil(losses * factor)) >= alpha:
        factor *= 1.1
    return math.ceil(n * factor)
