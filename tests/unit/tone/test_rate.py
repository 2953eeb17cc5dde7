"""The on-brand rate: exact by rules, corrected and with an interval by a learnt scorer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.interaction import InteractionRecord
from feedback.domain.tone import ToneRate, ToneWeek
from feedback.tone import StyleGuide, ToneScore
from feedback.tone.rate import ToneJudge, corrected_rate, tone_rate
from tests.unit.tone.test_scorer import learnt

NOW = datetime(2026, 3, 9, 8, tzinfo=UTC)


@given(st.integers(0, 1000), st.floats(0.5, 1), st.floats(0.5, 1))
def test_the_corrected_rate_undoes_the_scorer_s_errors(
    on_brand: int, sensitivity: float, specificity: float
) -> None:
    true = on_brand / 1000
    observed = true * sensitivity + (1 - true) * (1 - specificity)
    found = corrected_rate(
        observed,
        1000,
        sensitivity=(sensitivity, 100),
        specificity=(specificity, 100),
    )
    if sensitivity + specificity - 1 < 0.5:
        assert found is None
        return
    assert found is not None
    rate, low, high = found
    assert rate == pytest.approx(true, abs=1e-9)
    assert 0 <= low <= rate <= high <= 1


@pytest.mark.parametrize("true", [0.55, 0.8, 0.95])
def test_the_interval_holds_the_truth_in_most_runs(true: float) -> None:
    """A simulated scorer: 400 answers, right and wrong calls known from 100 tags of each kind."""
    random = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        on_brand = random.binomial(400, true)
        passed = random.binomial(on_brand, 0.9) + random.binomial(400 - on_brand, 0.15)
        found = corrected_rate(
            passed / 400,
            400,
            sensitivity=(random.binomial(100, 0.9) / 100, 100),
            specificity=(random.binomial(100, 0.85) / 100, 100),
        )
        assert found is not None
        held += found[1] <= true <= found[2]
    assert held >= 930


def score(rules: float, passed: bool) -> ToneScore:
    return ToneScore(on_brand=rules, rules=rules, passed=passed, violations=())


def test_rules_count_exactly_and_the_scorer_is_corrected_for_what_rules_let_pass() -> None:
    model = replace(learnt(), sensitivity=0.9, specificity=0.8, labels=200, on_brand_labels=100)
    scores = [score(0.25, False)] * 20 + [score(1.0, True)] * 66 + [score(1.0, False)] * 14
    assert tone_rate(scores, None) == ToneRate(answers=100, rate=0.8)
    found = tone_rate(scores, model)
    assert found is not None
    expected = 0.8 * (66 / 80 + 0.8 - 1) / 0.7
    assert found.rate == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high <= 0.8
    assert tone_rate(scores, replace(model, specificity=0.5)) == ToneRate(answers=100, rate=None)
    assert tone_rate([], model) is None


def record(name: str, answer: str, days: float) -> InteractionRecord:
    ts = (NOW - timedelta(days=days)).timestamp()
    return InteractionRecord(
        id=name, thread_id=name, user_id=name, ts=ts, question="?", answer=answer
    )


def test_a_week_is_judged_and_the_one_before_it() -> None:
    judge = ToneJudge(StyleGuide([]))
    rows = [record("a", "One.", 1), record("b", "Two.", 6.9), record("c", "Three.", 7.1)]
    week = judge.week([*rows, record("d", "", 1), record("e", "Old.", 15)], NOW)
    assert week == ToneWeek(
        lately=ToneRate(answers=2, rate=1.0), before=ToneRate(answers=1, rate=1.0)
    )
    assert judge.week(rows[2:], NOW) is None


@pytest.mark.parametrize(
    ("week", "said"),
    [
        (
            ToneWeek(lately=ToneRate(answers=1, rate=1.0)),
            "100% of 1 answer of the last week is on brand.",
        ),
        (
            ToneWeek(
                lately=ToneRate(answers=412, rate=0.914, low=0.88, high=0.943),
                before=ToneRate(answers=9, rate=0.85),
            ),
            (
                "91% of 412 answers of the last week are on brand (95% interval 88% to 94%), "
                "85% the week before."
            ),
        ),
    ],
)
def test_it_reads_as_a_sentence(week: ToneWeek, said: str) -> None:
    assert week.sentence == said
    unknown = replace(week, lately=replace(week.lately, rate=None))
    assert "tag more answers" in unknown.sentence
