"""How several challengers should share the traffic: equally, or more for those who look better.

`python -m tests.benchmarks.bench_allocations [--quick] [--seed N]`

Prints one JSON object on its last line. All is simulated and seeded, base .70, as in production
(`shared_traffic`): each of K challengers is promoted at E >= 20 K and has 28 (K + 1)/2 days. By K:

- `one_good`: one is .10 better, the others are as good as the champion.
- `two_good`: one of the others is .05 better.

Each for the rules of `allocations`; `equal_in_28_days`, whose runs are those of `equal` with the
time of one challenger; and `one_after_another`, where each has half of the traffic for 28 days, in
random order, and is promoted at E >= 20.

- `median_ratings`, `p80_ratings`: of all arms, until the first promotion; null where fewer runs
  promoted anybody.
- `best`: share of runs that promoted the best one (first); `right`: the same as a share of the
  runs that promoted anybody.

Exits 1 when, over all runs, the equal split takes 20 % more ratings in the median than some other
rule with one good challenger: then the decision for it has to be looked at again.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.benchmarks.allocations import RULES, equal
from tests.benchmarks.several_challengers import TIMEOUT, Promotions, in_turn
from tests.benchmarks.shared_traffic import simulate

CROWDS = (2, 3, 4)
FULL, QUICK = 4_000, 60
"""Runs of each kind."""
TOLERATED = 1.2
"""How many times as long as with another rule the equal split may take."""


def lifts(challengers: int, *, second: float) -> list[float]:
    """Returns the lifts of so many challengers: the best one, a second, and the rest."""
    return [0.10, second, *[0.0] * (challengers - 2)]


def figures(found: Promotions) -> dict[str, float | None]:
    """Returns what is printed of some runs."""
    best, any_one = float((found.winner == 0).mean()), float((found.winner >= 0).mean())
    median, p80 = (
        float(at) if math.isfinite(at) else None
        for at in np.quantile(found.at, (0.5, 0.8), method="higher")
    )
    return {
        "median_ratings": median,
        "p80_ratings": p80,
        "best": round(best, 4),
        "right": round(best / any_one, 4) if any_one else None,
    }


def one_after_another(seed: int, runs: int, crowd: Sequence[float]) -> Promotions:
    """Returns the first promotions when each shares the traffic with the champion alone."""
    alone = [
        simulate(seed + number, runs=runs, lifts=[lift], rule=equal)
        for number, lift in enumerate(crowd)
    ]
    return in_turn(
        seed + len(crowd),
        promoted=np.column_stack([each.promotions.at for each in alone]),
        over=np.column_stack([each.over for each in alone]),
    )


def within(found: Promotions, ratings: float) -> Promotions:
    """Returns the same runs, ended after so many ratings."""
    kept = found.at <= ratings
    return Promotions(
        at=np.where(kept, found.at, math.inf), winner=np.where(kept, found.winner, -1)
    )


def compared(seed: int, runs: int, crowd: Sequence[float]) -> dict[str, dict[str, float | None]]:
    """Returns the figures of every way to share the traffic among challengers of such lifts."""
    found = {
        name: simulate(seed, runs=runs, lifts=crowd, rule=rule).promotions
        for name, rule in RULES.items()
    }
    found["equal_in_28_days"] = within(found["equal"], TIMEOUT)
    found["one_after_another"] = one_after_another(seed, runs, crowd)
    return {name: figures(each) for name, each in found.items()}


def slower_than(found: dict[str, dict[str, float | None]]) -> list[str]:
    """Returns the rules that reach a promotion in much fewer ratings than the equal split."""
    mine = found["equal"]["median_ratings"] or math.inf
    return [
        name for name in RULES if mine > TOLERATED * (found[name]["median_ratings"] or math.inf)
    ]


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description="Benchmark of ways to split the traffic.")
    parser.add_argument("--quick", action="store_true", help="few runs, no bounds")
    parser.add_argument("--seed", type=int, default=20260101)
    arguments = parser.parse_args()
    runs, started = QUICK if arguments.quick else FULL, time.perf_counter()
    report: dict[str, Any] = {
        name: {str(k): compared(arguments.seed, runs, lifts(k, second=second)) for k in CROWDS}
        for name, second in (("one_good", 0.0), ("two_good", 0.05))
    }
    slower = {k: rules for k, found in report["one_good"].items() if (rules := slower_than(found))}
    report |= {
        "runs": runs,
        "slower_than": slower,
        "wall_s": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(report))
    return 1 if slower and not arguments.quick else 0


if __name__ == "__main__":
    raise SystemExit(main())
