"""The vectorised formulas against the slowest, plainest reading of them, and their guarantees."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from retrain.experiments import evidence
from retrain.experiments.policy import ExperimentPolicy

POLICY = ExperimentPolicy()
SHARES = (0.05, 0.1, 0.25, 0.5, 0.9)

row = st.tuples(st.integers(0, 1), st.sampled_from(SHARES), st.sampled_from((0.0, 0.25, 0.5, 1.0)))
rows_of = st.lists(row, min_size=1, max_size=60)
Row = tuple[int, float, float]


def as_rows(data: Sequence[Row]) -> evidence.Rows:
    arm, share, outcome = (np.array(column) for column in zip(*data, strict=True))
    return evidence.Rows.of(arm, share.astype(float), outcome.astype(float), POLICY)


def slow_centres(data: Sequence[Row]) -> list[float]:
    centres = []
    for i in range(len(data)):
        m = (20 * 0.7 + sum(y for _, _, y in data[:i])) / (20 + i)
        centres.append(min(0.98, max(0.02, m)))
    return centres


def slow_betting(data: Sequence[Row], sign: int) -> list[float]:
    """Section 6.2, in the linear domain, one product per stake."""
    stakes = (0.03, 0.06, 0.10, 0.15, 0.22, 0.32)
    weights = (0.15, 0.25, 0.25, 0.15, 0.12, 0.08)
    products = [1.0] * 6
    path = []
    for (a, pi, y), m in zip(data, slow_centres(data), strict=True):
        v = m * (1 - m)
        x = sign * (a - pi) * (y - m) / v
        c = max((1 - pi) * m, pi * (1 - m), (1 - pi) * (1 - m), pi * m) / v
        products = [p * (1 + min(s, 0.9 / c) * x) for p, s in zip(products, stakes, strict=True)]
        path.append(sum(w * p for w, p in zip(weights, products, strict=True)))
    return path


def slow_shifted(data: Sequence[Row], lift: float, *, at_least: bool) -> list[float]:
    """Section 6.3, both sides."""
    stakes = (0.03, 0.06, 0.10, 0.15, 0.22, 0.32)
    weights = (0.15, 0.25, 0.25, 0.15, 0.12, 0.08)
    products = [1.0] * 6
    path = []
    for (a, pi, y), m in zip(data, slow_centres(data), strict=True):
        v, s = m * (1 - m), pi * (1 - pi)
        z = (a - pi) * (y - m) / s
        if at_least:
            h = max((1 - pi) * (1 - m), pi * m) / s - lift
        else:
            h = max((1 - pi) * m, pi * (1 - m)) / s + lift
        step = lift - z if at_least else z - lift
        products = [
            p * (1 + min(stake * s / v, 0.9 / h) * step)
            for p, stake in zip(products, stakes, strict=True)
        ]
        path.append(sum(w * p for w, p in zip(weights, products, strict=True)))
    return path


def slow_coins(
    data: Sequence[tuple[int, float]], ratio: float, effects: Sequence[float], w: Sequence[float]
) -> list[float]:
    products = [1.0] * len(effects)
    path = []
    for a, pi in data:
        q0 = pi * ratio / (pi * ratio + 1 - pi)
        for j, effect in enumerate(effects):
            q = pi * ratio * effect / (pi * ratio * effect + 1 - pi)
            products[j] *= q / q0 if a else (1 - q) / (1 - q0)
        path.append(sum(x * p for x, p in zip(w, products, strict=True)))
    return path


@given(rows_of)
def test_promote_and_harm(data: list[Row]) -> None:
    rows = as_rows(data)
    assert np.exp(evidence.promote_log_e(rows, POLICY)) == pytest.approx(slow_betting(data, 1))
    assert np.exp(evidence.harm_log_e(rows, POLICY)) == pytest.approx(slow_betting(data, -1))


@given(rows_of, st.sampled_from((0.05, 0.1, 0.3)), st.sampled_from((-0.3, -0.05, 0.0, 0.2)))
def test_both_shifted_sides(data: list[Row], margin: float, lift: float) -> None:
    rows = as_rows(data)
    least = np.exp(evidence.at_least_log_e(rows, margin, POLICY))
    most = np.exp(evidence.at_most_log_e(rows, lift, POLICY))
    assert least == pytest.approx(slow_shifted(data, margin, at_least=True))
    assert most == pytest.approx(slow_shifted(data, lift, at_least=False))


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(SHARES)), min_size=1, max_size=80))
def test_guardrail_and_split(data: list[tuple[int, float]]) -> None:
    arm, share = np.array([a for a, _ in data]), np.array([pi for _, pi in data])
    guard = slow_coins(data, 1.1, (1.25, 1.5, 2, 3, 5, 10), (0.1, 0.2, 0.3, 0.2, 0.1, 0.1))
    split = slow_coins(data, 1.0, (0.5, 0.7, 0.8, 0.9, 1.1, 1.25, 1.43, 2), [1 / 8] * 8)
    assert np.exp(evidence.guard_log_e(arm, share, POLICY)) == pytest.approx(guard)
    assert np.exp(evidence.srm_log_e(arm, share, POLICY)) == pytest.approx(split)


@given(rows_of)
def test_swapping_arms_swaps_promote_and_harm_to_the_last_bit(data: list[Row]) -> None:
    rows = as_rows(data)
    swapped = as_rows([(1 - a, round(1 - pi, 12), y) for a, pi, y in data])
    promote, harm = evidence.promote_log_e(rows, POLICY), evidence.harm_log_e(rows, POLICY)
    assert np.array_equal(promote, evidence.harm_log_e(swapped, POLICY))
    assert np.array_equal(harm, evidence.promote_log_e(swapped, POLICY))


@given(rows_of, st.integers(1, 60))
def test_a_row_never_depends_on_later_rows(data: list[Row], length: int) -> None:
    head = data[:length]
    for formula in (evidence.promote_log_e, evidence.harm_log_e):
        whole = formula(as_rows(data), POLICY)[: len(head)]
        assert np.array_equal(whole, formula(as_rows(head), POLICY))


@given(
    arrays.arrays(np.int64, (3, 40), elements=st.integers(0, 1)),
    arrays.arrays(np.float64, (3, 40), elements=st.sampled_from((0.0, 1.0))),
)
def test_runs_side_by_side_are_the_runs_apart(
    arm: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    outcome: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    share = np.full(arm.shape, 0.25)
    together = evidence.promote_log_e(evidence.Rows.of(arm, share, outcome, POLICY), POLICY)
    for run in range(3):
        alone = evidence.Rows.of(arm[run], share[run], outcome[run], POLICY)
        assert together[run] == pytest.approx(evidence.promote_log_e(alone, POLICY), abs=1e-12)


@given(
    st.sampled_from(SHARES),
    st.floats(0.02, 0.98),
    st.floats(0.02, 0.98),
    st.sampled_from((-0.4, -0.1, 0.0, 0.1, 0.4)),
)
def test_one_row_is_a_fair_bet_at_the_border_of_its_hypothesis(
    share: float, centre: float, rate: float, lift: float
) -> None:
    """E[E_1] = 1 when the lift is exactly the hypothesis's, whatever centre was guessed."""
    both = (rate, rate + lift)
    if not 0 <= both[1] <= 1:
        return
    cells = [
        (a, y, (share if a else 1 - share) * (both[a] if y else 1 - both[a]))
        for a in (0, 1)
        for y in (0, 1)
    ]
    for formula in (evidence.at_least_log_e, evidence.at_most_log_e):
        mean = 0.0
        for a, y, chance in cells:
            rows = evidence.Rows(
                arm=np.array([a]),
                share=np.array([share]),
                outcome=np.array([float(y)]),
                centre=np.array([centre]),
            )
            mean += chance * math.exp(float(formula(rows, lift, POLICY)[0]))
        assert mean == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=30)
@given(st.sampled_from(SHARES), st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_stakes_never_lose_everything(share: float, centre: float, seed: int) -> None:
    """Caps keep every factor at 0.1 or above, so that logs stay finite on any data."""
    rng = np.random.default_rng(seed)
    n = 300
    arm, outcome = rng.integers(0, 2, n), (rng.random(n) < centre).astype(float)
    rows = evidence.Rows.of(arm, np.full(n, share), outcome, POLICY)
    for log_e in (
        evidence.promote_log_e(rows, POLICY),
        evidence.harm_log_e(rows, POLICY),
        evidence.at_least_log_e(rows, 0.4, POLICY),
        evidence.at_most_log_e(rows, -0.4, POLICY),
    ):
        assert np.all(np.isfinite(log_e))
        assert np.all(np.diff(log_e) > math.log(0.1) - 1e-9)


def test_known_values() -> None:
    """Ten liked challenger answers in a row at base .7 and an even split, worked out by hand."""
    rows = as_rows([(1, 0.5, 1.0)])
    x = 0.5 * 0.3 / 0.21
    expected = sum(w * (1 + s * x) for s, w in zip(POLICY.bets, POLICY.bet_weights, strict=True))
    assert math.exp(evidence.promote_log_e(rows, POLICY)[0]) == pytest.approx(expected)
    assert evidence.lift_estimate(np.array([0, 1]), np.array([0.5, 0.5]), np.array([0.0, 1.0])) == 1


def test_false_promotions_stay_below_alpha_under_constant_looking() -> None:
    """2,000 A/A runs of 1,000 ratings with a look after every one; at most 5 % by Ville."""
    rng = np.random.default_rng(20)
    for base in (0.5, 0.95):
        arm = rng.integers(0, 2, (1000, 1000))
        outcome = (rng.random((1000, 1000)) < base).astype(float)
        rows = evidence.Rows.of(arm, np.full(arm.shape, 0.5), outcome, POLICY)
        ever = evidence.promote_log_e(rows, POLICY).max(axis=1) >= math.log(20)
        assert ever.mean() <= 0.05


def test_the_true_lift_stays_in_its_interval() -> None:
    """600 runs at lift +.10 on a ramp: either side rejects it (E >= 40) in at most 1/40."""
    rng = np.random.default_rng(21)
    share = np.repeat([0.05, 0.25, 0.5], [100, 200, 500])
    arm = (rng.random((600, 800)) < share).astype(np.int64)
    outcome = (rng.random(arm.shape) < 0.6 + 0.1 * arm).astype(float)
    rows = evidence.Rows.of(arm, np.broadcast_to(share, arm.shape), outcome, POLICY)
    for formula in (evidence.at_least_log_e, evidence.at_most_log_e):
        assert (formula(rows, 0.1, POLICY).max(axis=1) >= math.log(40)).mean() <= 1 / 40
