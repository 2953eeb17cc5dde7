"""The arrays of challengers that share a champion, against a walk from rating to rating."""

import math

import numpy as np
import pytest

from retrain.experiments import evidence
from tests.benchmarks.several_challengers import (
    FUTILITY_FROM,
    LATE,
    Crowd,
    crowds,
    one_after_another,
    together,
)


@pytest.mark.parametrize("lifts", [(0.12, 0.0, -0.1), (0.1, 0.1), (0.12, -0.3, -0.1)])
def test_a_crowd_is_what_a_walk_from_rating_to_rating_finds(lifts: tuple[float, ...]) -> None:
    crowd = next(crowds(5, runs=50, n=3000, lifts=lifts))
    found = together([crowd])
    walked = [walk(crowd, run) for run in range(50)]
    assert list(zip(found.at, found.winner, strict=True)) == walked


def test_in_a_crowd_who_leaves_makes_room() -> None:
    crowd = next(crowds(5, runs=20, n=2000, lifts=(0.1, -0.4)))
    alone = together([crowd], endless=True)
    found = together([crowd])
    both = (found.winner == 0) & (alone.winner == 0)
    assert both.any()
    assert (found.at[both] <= alone.at[both]).all()
    assert (found.at[both] < alone.at[both]).any()


def test_one_alone_is_a_crowd_of_one() -> None:
    alone = one_after_another(3, 60, [0.1])
    crowd = together(crowds(3, runs=60, n=1000, lifts=[0.1]))
    assert alone.at.tolist() == crowd.at.tolist()


def test_in_turn_who_comes_later_waits_for_the_others() -> None:
    alone, second = one_after_another(3, 60, [0.3]), one_after_another(3, 60, [0.3, 0.0])
    wait = second.at[second.winner == 0] - alone.at[second.winner == 0]
    first = wait == 0
    assert 10 < first.sum() < 50
    assert (wait[~first] > LATE).all()


def walk(crowd: Crowd, run: int) -> tuple[float, int]:
    """Ratings of one run until the first promotion, and whose it is."""
    n, count = crowd.arm.shape[1], crowd.policy.challengers
    told = [evidence_by_draw(crowd, run, k + 1) for k in range(count)]
    waiting: list[tuple[int, int]] = []
    running = set(range(count))
    limit = 560 * (count + 1)
    ratings = 0
    for draw in range(n):
        arm = int(crowd.arm[run, draw])
        if arm > 0 and arm - 1 not in running:
            continue
        ratings += 1
        waiting.append((ratings + LATE, draw))
        while waiting[0][0] == ratings:
            _, known = waiting.pop(0)
            for k in sorted(running):
                promote, harm, futile = told[k][known]
                if promote and ratings <= limit:
                    return float(ratings), k
                if harm or (futile and ratings >= FUTILITY_FROM):
                    running.remove(k)
        if not running:
            break
    return math.inf, -1


def evidence_by_draw(crowd: Crowd, run: int, challenger: int) -> list[tuple[bool, bool, bool]]:
    """Whether each draw's outcome promotes, tells harm, tells futility."""
    policy = crowd.policy
    part = np.isin(crowd.arm[run], (0, challenger))
    arm = (crowd.arm[run, part] == challenger).astype(np.int64)
    rows = evidence.Rows.of(arm, np.full(len(arm), 0.5), crowd.outcome[run, part], policy)
    tells = np.zeros((len(part), 3), dtype=np.bool_)
    tells[part, 0] = evidence.promote_log_e(rows, policy) >= math.log(policy.promote_threshold)
    tells[part, 1] = evidence.harm_log_e(rows, policy) >= math.log(policy.stop_threshold)
    tells[part, 2] = evidence.at_least_log_e(rows, 0.1, policy) >= math.log(policy.stop_threshold)
    return [(bool(a), bool(b), bool(c)) for a, b, c in tells]
