"""Rules that say what part of the traffic each of several arms gets.

Arm 0 is the champion. A rule takes the counts that are known and who is on stage; ratings are
likes or not, so what is known of an arm is Beta(1 + likes, 1 + dislikes).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tests.benchmarks.experiment_streams import Floats

FLOOR = 0.1
"""No arm on stage gets less, where a rule shifts traffic to those who look better."""
_TOP = 0.5
"""b: how often top-two sampling plays the arm that it drew first."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
_WEIGHTS /= _WEIGHTS.sum()
_LEAST = 1e-12
_NOBODY = 1e-300


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a rule may know of many runs, arrays of shape (runs, arms).

    Attributes:
        liked: Likes so far.
        rated: Ratings so far.
        on_stage: Who still gets threads.
    """

    liked: Floats
    rated: Floats
    on_stage: NDArray[np.bool_]

    @property
    def challengers(self) -> "Known":
        """The same without the champion."""
        return Known(
            liked=self.liked[:, 1:], rated=self.rated[:, 1:], on_stage=self.on_stage[:, 1:]
        )


Rule = Callable[[Known], Floats]
"""Returns the part of each arm, shape (runs, arms): 0 off the stage, rows sum to 1."""


def equal(known: Known) -> Floats:
    """Everybody gets as much as the champion."""
    return parts_of(known.on_stage.astype(np.float64))


def top_two_all(known: Known) -> Floats:
    """Top-two Thompson sampling over all arms, with a floor."""
    return floored(top_two(chance_of_best(known)), known.on_stage)


def top_two_challengers(known: Known) -> Floats:
    """Top-two Thompson sampling over the challengers; the champion as likely as the likeliest."""
    psi = top_two(chance_of_best(known.challengers))
    return floored(parts_of(np.column_stack([psi.max(axis=1), psi])), known.on_stage)


def thompson(known: Known) -> Floats:
    """Each arm as often as it may be the best one, with a floor."""
    return floored(chance_of_best(known), known.on_stage)


RULES: Mapping[str, Rule] = {
    rule.__name__: rule for rule in (equal, top_two_all, top_two_challengers, thompson)
}


def chance_of_best(known: Known) -> Floats:
    """Returns a_i, the chance that arm i is the best on stage, shape (runs, arms).

    Beta posteriors as normal ones: a_i = E prod_j Phi((m_i + s_i z - m_j)/s_j) over a standard
    normal z, by Gauss-Hermite quadrature.
    """
    n = known.rated + 2.0
    mean = (known.liked + 1.0) / n
    spread = np.sqrt(mean * (1.0 - mean) / (n + 1.0))
    at = mean[..., None] + spread[..., None] * _NODES
    above = ndtr((at[:, :, None] - mean[:, None, :, None]) / spread[:, None, :, None])
    rivals = known.on_stage[:, None, :] & ~np.eye(n.shape[1], dtype=np.bool_)
    chance = np.where(rivals[..., None], above, 1.0).prod(axis=2) @ _WEIGHTS
    return parts_of(np.where(known.on_stage, np.maximum(chance, _LEAST), 0.0))


def top_two(chance: Floats) -> Floats:
    """Returns how often top-two Thompson sampling (Russo 2016) plays each arm, shape as `chance`.

    It draws an arm, plays it with chance b = 1/2, else draws until another one comes:
    psi_i = a_i (b + (1 - b) sum_{j != i} a_j/(1 - a_j)). For two arms that is one half each.
    """
    others = 1.0 - np.eye(chance.shape[1])
    # 1 - a_j as a sum: near 1 the difference has no digits left. An arm alone has no others.
    odds = chance / np.maximum(chance @ others, _NOBODY)
    return parts_of(chance * (_TOP + (1.0 - _TOP) * (odds @ others)))


def floored(parts: Floats, on_stage: NDArray[np.bool_]) -> Floats:
    """Returns `parts` with at least the floor for each arm on stage, the rest in proportion."""
    low = np.zeros_like(on_stage)
    scaled = parts
    # Lifting one may push another below the floor: each pass settles one more of them.
    for _ in range(parts.shape[1]):
        free = np.where(low, 0.0, parts).sum(axis=1, keepdims=True)
        scaled = parts * (1.0 - FLOOR * low.sum(axis=1, keepdims=True)) / free
        low |= on_stage & (scaled < FLOOR)
    return np.where(low, FLOOR, scaled)


def parts_of(weights: Floats) -> Floats:
    """Returns weights of shape (runs, arms) as parts of the traffic."""
    parts: Floats = weights / weights.sum(axis=1, keepdims=True)
    return parts
