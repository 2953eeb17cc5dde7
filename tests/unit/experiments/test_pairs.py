"""Blind votes as evidence, and looks that promote nobody any more."""

import math
import random
from typing import Any

import numpy as np
import pytest

from feedback.errors import InvalidInputError
from retrain.experiments.decision import PROMOTE, decide
from retrain.experiments.events import parse_event
from retrain.experiments.evidence import pairs_log_e
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import ExperimentPolicy
from tests.unit.experiments.company import Company

Row = dict[str, Any]


def vote(number: int, winner: object, ts: float = 1e9 + 5.0) -> Row:
    return {
        "id": f"p{number}", "seq": number, "ts": ts, "type": "pair_vote", "pair": f"pair{number}",
        "user": "u1", "winner": winner,
    }  # fmt: skip


def opened(part: float) -> Row:
    policy = {"pair_part": part}
    return {"id": "x", "seq": 0, "ts": 1e9, "type": "experiment", "policy": policy}


def evidence(rows: list[Row]) -> dict[str, float]:
    log: dict[str, float] = decide(ExperimentLog.of(map(parse_event, rows))).to_row()["evidence"][
        "log"
    ]
    return log


def test_the_formula_is_the_documented_mixture() -> None:
    won = np.array([1, 1, 0, 1], dtype=np.int64)
    expected = sum(
        weight * (2 * q) ** 3 * (2 * (1 - q))
        for q, weight in zip((0.55, 0.6, 0.65, 0.7, 0.8), (0.25, 0.25, 0.2, 0.2, 0.1), strict=True)
    )
    assert math.exp(pairs_log_e(won, ExperimentPolicy())[-1]) == pytest.approx(expected, abs=1e-12)


def test_ties_count_nothing_and_the_first_vote_on_a_pair_counts() -> None:
    plain = evidence([opened(0.5), vote(1, "challenger"), vote(2, "champion")])
    noisy = [opened(0.5), vote(1, "challenger"), vote(2, 0), vote(3, "tie")]
    noisy.append(vote(4, "challenger") | {"pair": "pair2"})
    assert evidence(noisy) == plain


def test_an_unknown_winner_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="arm must be"):
        parse_event(vote(1, "left"))


def test_worthless_votes_promote_about_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(5)
    won = (rng.random((2000, 400)) < 0.5).astype(np.int64)
    ever = pairs_log_e(won, ExperimentPolicy()).max(axis=1) >= math.log(20)
    assert ever.mean() <= 0.05


def with_votes(part: float, share: float) -> str:
    """A challenger that is a little better, and 120 blind votes of which it wins a share."""
    policy = {"pair_part": part, "futility_from_day": 30.0}
    company = Company(
        days=14, per_day=120, seed=4, policy=policy, rate=lambda arm, _: 0.73 if arm else 0.68
    )
    rng = random.Random(3)
    rows = company.rows()
    votes = [
        vote(n, int(rng.random() < share), 1e9 + 60.0 * n) | {"id": f"v{n}"} for n in range(120)
    ]
    ordered = [rows[0], *sorted([*rows[1:], *votes], key=lambda row: row["ts"])]
    for seq, row in enumerate(ordered):
        row["seq"] = seq
    return decide(ExperimentLog.of(map(parse_event, ordered))).decision


def test_votes_help_only_where_they_carry_a_part() -> None:
    assert with_votes(0.0, 0.8) != PROMOTE
    assert with_votes(0.5, 0.8) == PROMOTE
    assert with_votes(0.5, 0.5) != PROMOTE


def test_a_chance_that_people_let_pass_promotes_nobody() -> None:
    log = Company(days=16, per_day=200, rate=lambda arm, _: 0.95 if arm else 0.6).log()
    first = decide(log)
    assert first.decision == PROMOTE
    later = decide(log, promote_from=first.ts + 1.0)
    assert later.decision == PROMOTE
    assert later.ts > first.ts
    assert decide(log, promote_from=float(log.times[-1]) + 1.0).decision != PROMOTE
