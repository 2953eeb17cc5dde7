"""A scorer learnt from reviewers' tone tags: ridge regression over embeddings and strategies.

Closed form, so a few hundred tags are learnt in a second and the left-out score of every row is
known exactly; the probability is calibrated on those. Targets may be shares: three of four raters
said "on brand". A ridge on shares ranked politeness better than a logistic model on halves did.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.errors import InvalidInputError
from feedback.ports import Embedder, Vectors
from feedback.tone.strategies import STRATEGIES, strategies

Floats = NDArray[np.float64]

MIN_LABELS = 50
"""Fewer tags teach nothing that could be checked."""

_STRATEGY_WEIGHT = 0.2
_ALPHAS = np.logspace(-1, 3, 17)


@dataclass(frozen=True, kw_only=True)
class ToneModel:
    """What was learnt, small enough for a JSON file.

    Attributes:
        embedder_id: The space of the vectors; those of another one are refused.
        weights: Of the embedding's dimensions, then of the strategies.
        means: Of the strategies among the labels.
        scales: Their standard deviations.
        slope: Turns the left-out score into a log odds, together with `shift`.
        threshold: At or above this probability a text counts as on brand.
        labels: How many tags it was learnt from.
        on_brand_labels: How many of them said "on brand".
        auc: Of the left-out scores.
        sensitivity: Share of the on-brand texts that are recognised, left out.
        specificity: Share of the others that are recognised, left out.
    """

    embedder_id: str
    weights: tuple[float, ...]
    bias: float
    means: tuple[float, ...]
    scales: tuple[float, ...]
    slope: float
    shift: float
    threshold: float
    labels: int
    on_brand_labels: int
    auc: float
    sensitivity: float
    specificity: float

    def probabilities(self, texts: Sequence[str], vectors: Vectors) -> Floats:
        """Returns the probability, 0..1, that reviewers call each text on brand.

        Args:
            texts: As people read them.
            vectors: Theirs, shape (len(texts), dimensions), in the model's space.
        """
        features = _features(texts, vectors, np.array(self.means), np.array(self.scales))
        return _sigmoid(self.slope * (features @ np.array(self.weights) + self.bias) + self.shift)

    def to_row(self) -> dict[str, Any]:
        """Returns the model as JSON."""
        return asdict(self)

    @classmethod
    def load(cls, path: Path) -> "ToneModel":
        """Reads what `understudy tone learn` wrote.

        Raises:
            InvalidInputError: When it cannot be read, or is none.
        """
        try:
            return cls.from_row(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as exc:
            raise InvalidInputError(f"cannot read the tone scorer {path}: {exc}") from exc

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "ToneModel":
        """Reads what `to_row` returned.

        Raises:
            InvalidInputError: When it is none.
        """
        try:
            values: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in row.items()
            }
            model = cls(**values)
        except (TypeError, AttributeError) as exc:
            raise InvalidInputError(f"that is no learnt tone scorer: {exc}") from exc
        if len(model.means) != len(STRATEGIES) or len(model.scales) != len(STRATEGIES):
            raise InvalidInputError(
                f"the scorer knows {len(model.means)} strategies and this version has "
                f"{len(STRATEGIES)}: learn it anew with `understudy tone learn`"
            )
        return model


def learn(
    texts: Sequence[str], vectors: Vectors, targets: Sequence[float], *, embedder_id: str
) -> ToneModel:
    """Learns from tags.

    Args:
        texts: Answers.
        vectors: Their L2-normalised embeddings.
        targets: 1 on brand, 0 not, or the share of raters who said so.
        embedder_id: The space of the vectors.

    Raises:
        InvalidInputError: With fewer than `MIN_LABELS` tags, or all of one kind.
    """
    goal = np.asarray(targets, dtype=np.float64)
    positive = goal >= 0.5
    if len(goal) < MIN_LABELS or not 0 < positive.sum() < len(goal):
        raise InvalidInputError(
            f"{int(positive.sum())} tags on brand and {int((~positive).sum())} off brand: "
            f"{MIN_LABELS} together are needed, and both kinds"
        )
    figures = strategies(texts).astype(np.float64)
    means, scales = figures.mean(axis=0), np.maximum(figures.std(axis=0), 1e-6)
    features = _features(texts, vectors, means, scales)
    weights, bias, left_out = _ridge(features, goal)
    slope, shift = _calibrate(left_out, goal)
    probability = _sigmoid(slope * left_out + shift)
    threshold, sensitivity, specificity = _cut(probability, positive)
    return ToneModel(
        embedder_id=embedder_id,
        weights=tuple(weights.tolist()),
        bias=bias,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        slope=slope,
        shift=shift,
        threshold=threshold,
        labels=len(goal),
        on_brand_labels=int(positive.sum()),
        auc=area_under_curve(left_out, positive),
        sensitivity=sensitivity,
        specificity=specificity,
    )


class PreparedTone:
    """The learnt scorer for texts that were embedded before; implements `ToneScorer`."""

    def __init__(self, threshold: float, known: Mapping[str, float]) -> None:
        self.threshold = threshold
        self._known = known

    @classmethod
    async def of(cls, model: ToneModel, embedder: Embedder, texts: Sequence[str]) -> "PreparedTone":
        """Scores the distinct texts.

        Raises:
            InvalidInputError: When the model was learnt in another space.
            UnavailableError: When the embedder cannot be reached.
        """
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return cls(model.threshold, {})
        if embedder.id != model.embedder_id:
            raise InvalidInputError(
                f"the tone scorer was learnt on {model.embedder_id}, the embedder is "
                f"{embedder.id}: learn it anew with `understudy tone learn`"
            )
        scores = model.probabilities(distinct, await embedder.embed(distinct))
        return cls(model.threshold, dict(zip(distinct, scores.tolist(), strict=True)))

    def probability(self, text: str) -> float:
        """Returns the probability, 0..1, that reviewers call `text` on brand."""
        return self._known[text]


def area_under_curve(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Returns the share of pairs in which the positive one scores higher; ties count half."""
    names, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros or not len(names):
        return 0.5
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _features(texts: Sequence[str], vectors: Vectors, means: Floats, scales: Floats) -> Floats:
    figures = (strategies(texts) - means) / scales
    features: Floats = np.hstack([vectors.astype(np.float64), _STRATEGY_WEIGHT * figures])
    return features


def _ridge(features: Floats, goal: Floats) -> tuple[Floats, float, Floats]:
    """Returns weights, bias and left-out predictions of the best of `_ALPHAS`, by left-out error.

    With the hat matrix H of centred data, row i left out is y_i - (y_i - yhat_i) / (1 - H_ii).
    """
    centre, mean = features.mean(axis=0), float(goal.mean())
    left, singular, right = np.linalg.svd(features - centre, full_matrices=False)
    along = left.T @ (goal - mean)
    best: tuple[float, float, Floats] | None = None
    for alpha in _ALPHAS.tolist():
        shrink = singular**2 / (singular**2 + alpha)
        fitted = mean + left @ (shrink * along)
        leverage = (left**2) @ shrink + 1 / len(goal)
        out = goal - (goal - fitted) / np.maximum(1 - leverage, 1e-6)
        error = float(((goal - out) ** 2).mean())
        if best is None or error < best[0]:
            best = (error, alpha, out)
    assert best is not None
    weights: Floats = right.T @ (singular / (singular**2 + best[1]) * along)
    return weights, mean - float(centre @ weights), best[2]


def _calibrate(scores: Floats, goal: Floats) -> tuple[float, float]:
    """Fits `P = sigmoid(slope * score + shift)` by Newton's method (Platt scaling)."""
    design = np.column_stack([scores, np.ones_like(scores)])
    # Platt's targets keep the fit finite where the scores part the two kinds completely.
    ones = float(goal.sum())
    target = goal * (ones + 1) / (ones + 2) + (1 - goal) / (len(goal) - ones + 2)
    found = np.zeros(2)
    for _ in range(50):
        p = _sigmoid(design @ found)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (target - p))
        found += np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-8:
            break
    return float(found[0]), float(found[1])


def _cut(probability: Floats, positive: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Returns the threshold with the best sensitivity + specificity, and both.

    Thresholds lie between two told probabilities; of equally good ones the nearest to one half.
    """
    told = np.unique(probability)
    best = (0.5, 0.0, 0.0)
    for threshold in sorted(((told[1:] + told[:-1]) / 2).tolist(), key=lambda p: abs(p - 0.5)):
        passed = probability >= threshold
        sensitivity = float(passed[positive].mean())
        specificity = float((~passed[~positive]).mean())
        if sensitivity + specificity > best[1] + best[2] + 1e-9:
            best = (threshold, sensitivity, specificity)
    return best


def _sigmoid(values: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-np.clip(values, -40, 40)))
    return result
