"""The share of answers in the house voice, freed of the errors of whoever judges them."""

import math
from collections.abc import Sequence
from datetime import datetime

from feedback.domain.digest import WEEK
from feedback.domain.interaction import InteractionRecord
from feedback.domain.tone import ToneRate, ToneWeek
from feedback.tone.guide import StyleGuide, ToneScore
from feedback.tone.scorer import ToneModel

_Z = 1.96


class ToneJudge:
    """Judges the answers of a run, one by one and by the week.

    Args:
        guide: The rules, with a learnt scorer beside them or not.
        model: That scorer, whose errors the rate is corrected for.
    """

    def __init__(self, guide: StyleGuide, model: ToneModel | None = None) -> None:
        self._guide = guide
        self._model = model

    def off_brand(self, answer: str) -> bool:
        """Whether an answer violates the house voice."""
        return bool(answer) and not self._guide.is_on_brand(answer)

    def week(self, records: Sequence[InteractionRecord], at: datetime) -> ToneWeek | None:
        """Returns the on-brand rate of the week before `at`; None when nothing was answered."""
        end, week = at.timestamp(), WEEK.total_seconds()
        lately, before = (
            tone_rate(
                [
                    self._guide.score(record.answer)
                    for record in records
                    if record.answer and until - week < record.ts <= until
                ],
                self._model,
            )
            for until in (end, end - week)
        )
        return None if lately is None else ToneWeek(lately=lately, before=before)


def tone_rate(scores: Sequence[ToneScore], model: ToneModel | None) -> ToneRate | None:
    """Returns the on-brand rate of some answers; None without answers.

    Rules judge as they are written. The learnt scorer errs, and it is asked about the answers that
    the rules let pass: what it says of them is corrected.

    Args:
        scores: One an answer.
        model: The scorer that judged beside the rules.
    """
    if not scores:
        return None
    kept = [score for score in scores if score.rules >= 0.5]
    by_rules = len(kept) / len(scores)
    if model is None:
        return ToneRate(answers=len(scores), rate=by_rules)
    found = corrected_rate(
        sum(score.passed for score in kept) / max(len(kept), 1),
        len(kept),
        sensitivity=(model.sensitivity, model.on_brand_labels),
        specificity=(model.specificity, model.labels - model.on_brand_labels),
    )
    if found is None:
        return ToneRate(answers=len(scores), rate=None)
    rate, low, high = (by_rules * value for value in found)
    return ToneRate(answers=len(scores), rate=rate, low=low, high=high)


def corrected_rate(
    observed: float,
    judged: int,
    *,
    sensitivity: tuple[float, int],
    specificity: tuple[float, int],
) -> tuple[float, float, float] | None:
    """Returns the share of on-brand texts behind an observed one (Rogan and Gladen, 1978).

    Args:
        observed: Share of the texts that the scorer calls on brand.
        judged: How many it looked at.
        sensitivity: Share of the on-brand texts that it recognises, and of how many that is known.
        specificity: The same of the others.

    Returns:
        The share and its 95 % interval (Lang and Reiczigel, 2014); None when nothing was judged or
        the scorer tells too little: sensitivity + specificity - 1 below one half.
    """
    (sens, positives), (spec, negatives) = sensitivity, specificity
    informed = sens + spec - 1
    if judged <= 0 or informed < 0.5:
        return None
    rate = min(max((observed + spec - 1) / informed, 0.0), 1.0)
    low, high = _interval(
        (observed * judged + _Z**2 / 2) / (judged + _Z**2),
        judged + _Z**2,
        ((sens * positives + 1) / (positives + 2), positives + 2),
        ((spec * negatives + 1) / (negatives + 2), negatives + 2),
    )
    return rate, min(low, rate), max(high, rate)


def _interval(
    observed: float, judged: float, sens: tuple[float, int], spec: tuple[float, int]
) -> tuple[float, float]:
    informed = sens[0] + spec[0] - 1
    rate = (observed + spec[0] - 1) / informed
    noise_sens = sens[0] * (1 - sens[0]) / sens[1]
    noise_spec = spec[0] * (1 - spec[0]) / spec[1]
    centre = rate + 2 * _Z**2 * (rate * noise_sens - (1 - rate) * noise_spec)
    spread = (
        math.sqrt(
            observed * (1 - observed) / judged + rate**2 * noise_sens + (1 - rate) ** 2 * noise_spec
        )
        * _Z
        / informed
    )
    return min(max(centre - spread, 0.0), 1.0), min(max(centre + spread, 0.0), 1.0)
