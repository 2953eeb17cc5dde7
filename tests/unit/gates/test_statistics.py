import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.evals import wilson
from retrain.gates.statistics import (
    bootstrap_low,
    effective_share,
    mcnemar_p,
    non_inferiority_z,
    pairs_for_mcnemar,
    quantile_z,
)


@pytest.mark.parametrize(("losses", "alpha"), [(5, 0.05), (7, 0.01), (10, 0.001)])
def test_mcnemar_is_significant_from_the_known_counts(losses: int, alpha: float) -> None:
    assert mcnemar_p(losses, 0) < alpha <= mcnemar_p(losses - 1, 0)


def test_mcnemar_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for gains, losses in [(8, 2), (3, 3), (0, 4), (15, 9)]:
        expected = stats.binomtest(gains, gains + losses, 0.5, alternative="greater").pvalue
        assert mcnemar_p(gains, losses) == pytest.approx(expected)
    assert mcnemar_p(0, 0) == 1.0


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [(0.89, 100, 0.814, 0.937), (0.89, 1000, 0.869, 0.908), (1.0, 30, 0.886, 1.0)],
)
def test_wilson_matches_published_values(share: float, n: int, low: float, high: float) -> None:
    assert wilson(share, n)[0] == pytest.approx(low, abs=6e-4)
    assert wilson(share, n)[1] == pytest.approx(high, abs=6e-4)


def test_no_discordant_pair_needs_the_closed_form_sample() -> None:
    # With no gain and no loss the statistic is sqrt(n m / (1 - m)).
    for n, margin in [(50, 0.05), (100, 0.1), (400, 0.02)]:
        expected = math.sqrt(n * margin / (1 - margin))
        assert non_inferiority_z(0, 0, n, margin) == pytest.approx(expected)


def test_the_score_is_zero_at_the_margin() -> None:
    assert non_inferiority_z(2, 12, 200, 0.05) == pytest.approx(0.0, abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(100, 400), st.floats(0.01, 0.3))
def test_the_score_falls_with_losses_and_rises_with_gains(
    gains: int, losses: int, n: int, margin: float
) -> None:
    z = non_inferiority_z(gains, losses, n, margin)
    drop = losses - gains
    if drop <= n * margin:
        assert non_inferiority_z(gains, losses + 1, n, margin) <= z + 1e-9
        assert non_inferiority_z(gains + 1, max(0, losses - 1), n, margin) >= z - 1e-9


def test_the_test_holds_its_level_by_exact_enumeration() -> None:
    # True fall equal to the margin, gains and losses multinomial: rejecting is the error.
    n, margin, gain = 200, 0.05, 0.03
    loss = gain + margin
    error = 0.0
    for g in range(40):
        for x in range(60):
            if non_inferiority_z(g, x, n, margin) > quantile_z(0.05):
                error += _multinomial(n, g, x, gain, loss)
    assert error < 0.065


def test_groups_shrink_the_sample() -> None:
    assert effective_share(["a", "b", "c"], 0.3) == 1.0
    assert effective_share([f"g{i % 30}" for i in range(300)], 0.3) * 300 == pytest.approx(
        81, abs=0.5
    )
    assert effective_share([], 0.3) == 1.0


def test_the_bootstrap_bound_lies_below_the_mean_and_groups_widen_it() -> None:
    differences = [0.1 if index % 4 else -0.1 for index in range(80)]
    alone = bootstrap_low(differences, [str(i) for i in range(80)], 0.05)
    together = bootstrap_low(differences, [str(i % 4) for i in range(80)], 0.05)
    assert together < alone < sum(differences) / 80


def test_the_needed_pairs_suffice() -> None:
    needed = pairs_for_mcnemar(4, 1, 100, 0.05)
    assert needed is not None
    factor = needed / 100
    assert mcnemar_p(math.floor(4 * factor), math.ceil(1 * factor)) < 0.05
    assert pairs_for_mcnemar(1, 4, 100, 0.05) is None


def _multinomial(n: int, gains: int, losses: int, p: float, q: float) -> float:
    return (
        math.comb(n, gains)
        * math.comb(n - gains, losses)
        * p**gains
        * q**losses
        * (1 - p - q) ** (n - gains - losses)
    )
