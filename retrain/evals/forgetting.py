"""How far has the model moved from its base where nothing was taught?

Measured without generating and without labels, on frozen generic dialogues: seconds for what takes
generations minutes. Kullback-Leibler divergence on a task predicts how much is forgotten
(arXiv 2509.04259); on the tiny base it was 8.9 nats a token without replay and .08 for good
adapters, while the divergence on the taught questions told nothing apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from retrain.evals.task import Example, Likelihood


@dataclass(frozen=True, kw_only=True)
class NearBaseTask:
    """exp(-KL) of the base's next-token distribution to the model's: 1 is the base itself."""

    asked: Sequence[Example]
    name: str = "near_base"

    def examples(self) -> Sequence[Example]:
        """Returns the dialogues."""
        return self.asked

    def score(self, likelihood: Likelihood) -> float:
        """Returns the score of one dialogue, 0..1."""
        return math.exp(-max(0.0, likelihood.divergence))


@dataclass(frozen=True, kw_only=True)
class GenericLikelihoodTask:
    """exp(-NLL): the geometric mean of the probabilities of a right answer's tokens."""

    asked: Sequence[Example]
    name: str = "generic_likelihood"

    def examples(self) -> Sequence[Example]:
        """Returns the dialogues."""
        return self.asked

    def score(self, likelihood: Likelihood) -> float:
        """Returns the score of one dialogue, 0..1."""
        return math.exp(-max(0.0, likelihood.surprise))
