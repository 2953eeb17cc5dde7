"""The rules that split traffic, and the simulation's own bets, against plainer ways to them."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from retrain.experiments import evidence
from retrain.experiments.policy import ExperimentPolicy
from tests.benchmarks.allocations import (
    RULES,
    Known,
    Rule,
    chance_of_best,
    equal,
    floored,
    thompson,
    top_two,
    top_two_all,
    top_two_challengers,
)
from tests.benchmarks.bench_allocations import figures, within
from tests.benchmarks.experiment_streams import Floats, Ints
from tests.benchmarks.several_challengers import FUTILITY_FROM, LATE, Promotions
from tests.benchmarks.shared_traffic import BLOCK, EARLIEST, Bets, Flags, Stage

RUNS = 20


def known(*arms: tuple[int, int], off: tuple[int, ...] = ()) -> Known:
    """One run with these likes and ratings."""
    liked, rated = np.array(arms, dtype=np.float64).T[:, None]
    on_stage = np.array([[arm not in off for arm in range(len(arms))]])
    return Known(liked=liked, rated=rated, on_stage=on_stage)


def test_top_two_plays_what_drawing_again_plays() -> None:
    chance = np.array([0.6, 0.3, 0.1])
    rng = np.random.default_rng(1)
    played = rng.choice(3, 100_000, p=chance)
    again = rng.random(played.shape) >= 0.5
    first = played[again]
    second = first.copy()
    while (same := second == first).any():
        second[same] = rng.choice(3, same.sum(), p=chance)
    played[again] = second
    drawn = np.bincount(played) / len(played)
    assert top_two(chance[None])[0] == pytest.approx(drawn, abs=0.006)


@pytest.mark.parametrize("chance", [0.5, 0.93, 1 - 1e-12])
def test_top_two_of_two_arms_is_one_half_each(chance: float) -> None:
    assert top_two(np.array([[chance, 1 - chance]]))[0] == pytest.approx([0.5, 0.5])


def test_the_chance_of_being_best_is_what_draws_from_the_posteriors_say() -> None:
    state = known((70, 100), (50, 62), (55, 80), (9, 10), off=(3,))
    rng = np.random.default_rng(1)
    draws = np.column_stack(
        [
            rng.beta(1 + likes, 1 + n - likes, 100_000)
            for likes, n in ((70, 100), (50, 62), (55, 80))
        ]
    )
    drawn = np.bincount(draws.argmax(axis=1)) / len(draws)
    found = chance_of_best(state)[0]
    assert found[:3] == pytest.approx(drawn, abs=0.015)
    assert found[3] == 0.0


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([0.4, 0.35, 0.25], [0.4, 0.35, 0.25]),
        ([0.9, 0.06, 0.04], [0.8, 0.1, 0.1]),
        ([0.899, 0.1005, 0.0005], [0.8, 0.1, 0.1]),
        ([0.63, 0.36, 0.01], [0.9 * 7 / 11, 0.9 * 4 / 11, 0.1]),
    ],
)
def test_the_floor_is_taken_from_the_others_in_proportion(
    parts: list[float], wanted: list[float]
) -> None:
    found = floored(np.array([parts]), np.ones((1, 3), dtype=np.bool_))
    assert found[0] == pytest.approx(wanted)


def test_who_has_left_gets_nothing_and_the_rest_all() -> None:
    state = known((70, 100), (80, 100), (60, 100), (20, 100), off=(3,))
    for rule in RULES.values():
        parts = rule(state)[0]
        assert parts[3] == 0.0
        assert parts.sum() == pytest.approx(1.0)
        assert (parts[:3] >= 0.1 - 1e-12).all()


def test_rules_differ_in_what_they_give_the_champion() -> None:
    state = known((700, 1000), (800, 1000), (600, 1000))
    parts = {name: rule(state)[0].tolist() for name, rule in RULES.items()}
    assert parts == {
        "equal": pytest.approx([1 / 3] * 3),
        # The best one half, the champion nearly the other.
        "top_two_all": pytest.approx([0.4, 0.5, 0.1], abs=0.06),
        "top_two_challengers": pytest.approx([1 / 3] * 3),
        "thompson": pytest.approx([0.1, 0.8, 0.1], abs=0.01),
    }
    third = known((700, 1000), (800, 1000), (790, 1000), (600, 1000))
    assert top_two_challengers(third)[0, 0] == top_two_challengers(third)[0].max()
    assert top_two_all(third)[0, 0] == pytest.approx(0.1)
    one = known((700, 1000), (800, 1000), (600, 1000), off=(2,))
    assert top_two_challengers(one)[0] == pytest.approx([0.5, 0.5, 0.0])
    assert thompson(one)[0] == pytest.approx([0.1, 0.9, 0.0], abs=0.001)


@dataclass(frozen=True, kw_only=True)
class Played:
    """What a stage did: arrays of shape (ratings, runs, challengers), outcome (ratings, runs)."""

    found: Promotions
    over: Floats
    challenger: Flags
    counts: Flags
    share: Floats
    outcome: Floats
    capital: Floats
    """Promote, harm and futility E after each rating, in front of the other axes."""


class _Written(Bets):
    def __init__(self, runs: int, policy: ExperimentPolicy) -> None:
        super().__init__(runs, policy)
        self.rows: list[tuple[Flags, Floats, Floats, Flags, Floats]] = []

    def add(self, *, challenger: Flags, share: Floats, outcome: Floats, counts: Flags) -> None:
        super().add(challenger=challenger, share=share, outcome=outcome, counts=counts)
        capital = np.stack([self.promote, self.harm, self.futile])
        self.rows.append((challenger, share, outcome[:, 0], counts, capital))


def played(lifts: tuple[float, ...], rule: Rule = equal) -> Played:
    stage = Stage(np.random.default_rng(7), RUNS, lifts=lifts, rule=rule, base=0.7)
    written = _Written(RUNS, replace(ExperimentPolicy(), challengers=len(lifts)))
    stage.bets = written
    simulated = stage.played()
    challenger, share, outcome, counts, capital = (
        np.stack(column) for column in zip(*written.rows, strict=True)
    )
    return Played(
        found=simulated.promotions,
        over=simulated.over,
        challenger=challenger,
        counts=counts,
        share=share,
        outcome=outcome,
        capital=np.moveaxis(capital, 1, 0),
    )


def unequal(state: Known) -> Floats:
    """A rule that any row can tell from an equal split."""
    weights = state.on_stage * np.array([0.5, 0.2, 0.3])
    parts: Floats = weights / weights.sum(axis=1, keepdims=True)
    return parts


@pytest.fixture(scope="module")
def run() -> Played:
    return played((0.2, -0.25), unequal)


def test_bets_are_the_evidence_of_the_same_rows(run: Played) -> None:
    policy = replace(ExperimentPolicy(), challengers=2)
    for index in np.ndindex(RUNS, 2):
        at = (slice(None), *index)
        mine = run.counts[at]
        rows = evidence.Rows.of(
            run.challenger[at][mine].astype(np.int64),
            run.share[at][mine],
            run.outcome[:, index[0]][mine],
            policy,
        )
        wanted = [
            evidence.promote_log_e(rows, policy),
            evidence.harm_log_e(rows, policy),
            evidence.at_least_log_e(rows, policy.futility_margin_low_traffic, policy),
        ]
        assert np.abs(np.log(run.capital[(slice(None), *at)][:, mine]) - wanted).max() < 1e-9


def test_shares_are_the_ramp_and_then_the_rule_among_those_on_stage(run: Played) -> None:
    left = ends(run)
    on_stage: Flags = np.less(np.arange(len(run.share))[:, None, None], left)
    champion = ~run.challenger.any(axis=2, keepdims=True)
    assert (run.counts == ((champion | run.challenger) & on_stage)).all()
    assert not (run.challenger & ~on_stage).any()
    assert run.share[:40] == pytest.approx(0.05)
    assert run.share[40:120] == pytest.approx(0.25)
    late = on_stage[120:]
    wanted = np.broadcast_to([0.2 / 0.7, 0.3 / 0.8], late.shape)
    assert run.share[120:][late] == pytest.approx(wanted[late])
    both = late[..., 0] & late[..., 1]
    assert run.challenger[120:][both].mean(axis=0) == pytest.approx([0.2, 0.3], abs=0.03)


def test_the_first_promotion_is_the_first_that_the_evidence_allows(run: Played) -> None:
    left = ends(run)
    now = counted(run)
    promote = run.capital[0]
    ready = (promote >= 40) & (now <= left) & (now >= EARLIEST)
    at, winner = np.full(RUNS, math.inf), np.full(RUNS, -1)
    for each in range(RUNS):
        rows = np.flatnonzero(ready[:, each].any(axis=1))
        if len(rows):
            at[each] = now[rows[0], 0, 0]
            winner[each] = np.where(ready[rows[0], each], promote[rows[0], each], 0).argmax()
    assert run.found.at.tolist() == at.tolist()
    assert run.found.winner.tolist() == winner.tolist()
    assert (winner == 0).sum() > RUNS / 2
    assert run.over.tolist() == np.minimum(np.minimum(at, left.max(axis=1)), 1680).tolist()


def counted(run: Played) -> Ints:
    """Ratings when each rating counts, to be broadcast over runs and challengers."""
    return np.arange(len(run.share))[:, None, None] + 1 + LATE


def ends(run: Played) -> Floats:
    """Ratings until harm or futility, shape (runs, challengers)."""
    now = counted(run)
    over = (run.capital[1] >= 20) | ((run.capital[2] >= 20) & (now >= FUTILITY_FROM))
    return np.where(over.any(axis=0), now[:, 0, 0][over.argmax(axis=0)], math.inf)


def test_a_rule_hears_of_ratings_when_they_count() -> None:
    heard: list[float] = []

    def spy(state: Known) -> Floats:
        heard.append(float(state.rated.sum(axis=1).max()))
        assert (state.liked <= state.rated).all()
        return equal(state)

    ratings = len(played((0.1,), spy).outcome)
    assert sorted(set(heard)) == list(range(0, ratings - LATE, BLOCK))


def test_figures_count_runs_without_a_promotion() -> None:
    found = Promotions(at=np.array([500.0, 700, 900, math.inf]), winner=np.array([0, 1, 0, -1]))
    assert figures(found) == {
        "median_ratings": 900.0,
        "p80_ratings": None,
        "best": 0.5,
        "right": round(2 / 3, 4),
    }
    assert within(found, 700).winner.tolist() == [0, 1, -1, -1]
