"""How often the engine is wrong, how long it takes to be right, and what simpler rules do.

`python -m tests.benchmarks.bench_experiments [--quick] [--seed N]`

Prints one JSON object on its last line and exits 1 when a bound is not met. All is simulated and
seeded; rates are shares of simulated experiments.

- `aa_false_promotion`: champion against itself, by base rate: share of runs of 6,000 ratings in
  which promote E ever reached 20, looked at after every rating.
- `promoter_aa`: the same with the whole engine: 200 threads a day, a fifth of them rated, ramp,
  maturity, gates, 28 days.
- `median_ratings`, `median_harm`: ratings until E >= 20 at base .70 and an even split.
- `srm_false_alarm`: the worst of 5, 25 and 50 % splits over 10,000 units.
- `clustered_drift`: A/A with lenient and strict users, several answers a thread, drift and ramp.
- `several`: 2 and 3 challengers that share the champion equally, each promoted at E >= 20 K, by K.
  `aa_false_promotion`: share of runs that promoted any of K equal ones within 6,000 ratings.
  `together`: one is .10 better, the others are not and stay until harm or futility: ratings of all
  arms until the first promotion, share of runs `promoted` in 28 (K + 1) / 2 days, share of these
  in which it was the better one (`right`). `one_after_another`: the same when each has the traffic
  alone for 28 days at most, in random order, at E >= 20.
- `decide_28000_threads_s`: seconds of one core from parsed events to the decision.
- `peers`: from the same ratings, what a person does who looks once a day (40 ratings) at a
  one-sided z-test at 5 %, or at "95 % chance to win" under flat priors.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.experiments import evidence
from retrain.experiments.decision import PROMOTE, Analysis, decide
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import ExperimentPolicy
from tests.benchmarks.experiment_streams import (
    DAILY,
    Ratings,
    Team,
    case_of,
    clustered,
    month,
    ratings,
)
from tests.benchmarks.several_challengers import crowds, one_after_another, together
from tests.unit.experiments.company import Company

Floats = NDArray[np.float64]
POLICY = ExperimentPolicy()
BASES = (0.5, 0.7, 0.9, 0.95)
LIFTS = (0.05, 0.10, 0.15)
CROWDS = (2, 3)
NOT_YET = math.inf


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many runs of each kind."""

    false_promotions: int
    medians: int
    splits: int
    clusters: int
    crowds: int


FULL = Size(false_promotions=10_000, medians=4_000, splits=4_000, clusters=4_000, crowds=4_000)
QUICK = Size(false_promotions=400, medians=300, splits=200, clusters=400, crowds=150)


def first(hits: NDArray[np.bool_], at: Floats) -> Floats:
    """Returns, for each run, the first ratings count at which a rule holds; infinity if never."""
    return np.where(hits.any(axis=1), at[hits.argmax(axis=1)], NOT_YET)


def ours(batch: Ratings, *, harm: bool = False) -> Floats:
    """E >= 20, looked at after every rating."""
    rows = evidence.Rows.of(batch.arm, batch.share, batch.outcome, POLICY)
    formula = evidence.harm_log_e if harm else evidence.promote_log_e
    hits = formula(rows, POLICY) >= math.log(POLICY.promote_threshold)
    return first(hits, np.arange(1.0, batch.arm.shape[1] + 1))


def _daily(batch: Ratings) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Returns ratings so far, and likes and ratings of both arms, at the end of each day."""
    ends = np.arange(DAILY - 1, batch.arm.shape[1], DAILY)
    liked = batch.outcome
    likes1 = np.cumsum(liked * batch.arm, axis=1)[:, ends]
    likes0 = np.cumsum(liked, axis=1)[:, ends] - likes1
    n1 = np.cumsum(batch.arm, axis=1, dtype=np.float64)[:, ends]
    at = ends.astype(np.float64) + 1.0
    return at, likes0, at - n1, likes1, n1


def daily_z(batch: Ratings) -> Floats:
    """A one-sided z-test with pooled variance at 5 %, once a day."""
    at, likes0, n0, likes1, n1 = _daily(batch)
    pooled = (likes0 + likes1) / (n0 + n1)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n0, 1) + 1 / np.maximum(n1, 1)))
    lift = likes1 / np.maximum(n1, 1) - likes0 / np.maximum(n0, 1)
    hits = (lift > NormalDist().inv_cdf(0.95) * spread) & (spread > 0)
    return first(hits, at)


def beta_binomial(batch: Ratings) -> Floats:
    """Chance to win above 95 % under flat priors (normal approximation of the two posteriors)."""
    at, likes0, n0, likes1, n1 = _daily(batch)
    mean0, mean1 = (likes0 + 1) / (n0 + 2), (likes1 + 1) / (n1 + 2)
    variance = mean0 * (1 - mean0) / (n0 + 3) + mean1 * (1 - mean1) / (n1 + 3)
    hits = mean1 - mean0 > NormalDist().inv_cdf(0.95) * np.sqrt(variance)
    return first(hits, at)


RULES: dict[str, Callable[[Ratings], Floats]] = {
    "ours": ours,
    "daily_z": daily_z,
    "beta_binomial": beta_binomial,
}


def times(batches: Iterable[Ratings]) -> dict[str, Floats]:
    """Returns when each rule first promotes, from the same streams, shape (runs,)."""
    found: dict[str, list[Floats]] = {name: [] for name in RULES}
    for batch in batches:
        for name, rule in RULES.items():
            found[name].append(rule(batch))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def statistic(size: Size, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Returns false promotions by base and median ratings by lift, for every rule."""
    result: dict[str, dict[str, dict[str, float]]] = {
        name: {"aa_false_promotion": {}, "median_ratings": {}} for name in RULES
    }
    for number, base in enumerate(BASES):
        streams = ratings(seed + number, runs=size.false_promotions, n=6000, base=base, lift=0.0)
        for name, when in times(streams).items():
            share = float(np.isfinite(when).mean())
            result[name]["aa_false_promotion"][f"{base:g}"] = round(share, 5)
    for number, lift in enumerate(LIFTS):
        n = 6000 if lift < 0.1 else 2400
        streams = ratings(seed + 10 + number, runs=size.medians, n=n, base=0.7, lift=lift)
        for name, when in times(streams).items():
            result[name]["median_ratings"][f"{lift:.2f}"] = float(np.median(when))
    return result


def harm(size: Size, seed: int) -> float:
    """Returns the median ratings until a challenger that is .10 worse is stopped."""
    streams = ratings(seed + 20, runs=size.medians, n=3000, base=0.7, lift=-0.10)
    return float(np.median(np.concatenate([ours(batch, harm=True) for batch in streams])))


def promoter(size: Size, seed: int, base: float) -> float:
    """Returns how often the whole engine promotes a champion against itself.

    Only runs whose promote E ever reaches its threshold can be promoted, so only they are taken
    through the engine.
    """
    rng = np.random.default_rng(seed + 30 + int(base * 100))
    promoted = 0
    for _ in range(size.false_promotions):
        run = month(rng, Team(base=base))
        rows = evidence.Rows.of(*run.rated_rows, POLICY)
        if evidence.promote_log_e(rows, POLICY).max() < math.log(POLICY.promote_threshold) - 1e-6:
            continue
        promoted += Analysis(case_of(run, POLICY)).last().decision == PROMOTE
    return round(promoted / size.false_promotions, 5)


def split_alarms(size: Size, seed: int, share: float) -> float:
    """Returns how often a correct split raises the alarm within 10,000 units."""
    rng = np.random.default_rng(seed + 40)
    alarms = 0
    for _ in range(size.splits // 20):
        arm = (rng.random((20, 10_000)) < share).astype(np.int64)
        log_e = evidence.srm_log_e(arm, np.full(arm.shape, share), POLICY)
        alarms += int((log_e.max(axis=1) >= math.log(POLICY.srm_threshold)).sum())
    return alarms / size.splits


def tangled(size: Size, seed: int) -> float:
    """Returns false promotions among clustered, drifting A/A experiments."""
    rng = np.random.default_rng(seed + 50)
    ever = 0
    for number in range(size.clusters):
        start, slope = ((0.5, 0.3), (0.8, -0.3))[number % 2]
        rows = clustered(rng, threads=1500, start=start, slope=slope / 7.0)
        log_e = evidence.promote_log_e(evidence.Rows.of(*rows, POLICY), POLICY)
        ever += bool(log_e.max() >= math.log(POLICY.promote_threshold))
    return round(ever / size.clusters, 5)


def several(size: Size, seed: int) -> dict[str, dict[str, Any]]:
    """Returns, by K, how K challengers at the same time and one after another fare."""
    found: dict[str, dict[str, Any]] = {
        "aa_false_promotion": {},
        "together": {},
        "one_after_another": {},
    }
    for count in CROWDS:
        key, start, runs = f"{count}", seed + 60 + 10 * count, size.crowds
        equal = crowds(start, runs=runs, n=6000, lifts=[0.0] * count)
        rates = together(equal, endless=True).summary
        found["aa_false_promotion"][key] = rates["promoted"]
        lifts = [0.10] + [0.0] * (count - 1)
        draws = crowds(start + 1, runs=runs, n=1000 * (count + 1), lifts=lifts)
        found["together"][key] = together(draws).summary
        found["one_after_another"][key] = one_after_another(start + 1, runs, lifts).summary
    return found


def seconds_for_28000_threads() -> float:
    """Returns the best of three: ordering the events of 28,000 threads, folding and deciding.

    In seconds of one core (nothing in it waits or runs in parallel), so that a busy machine does
    not change the figure.
    """
    events = Company(days=28, per_day=1000, rated=lambda _arm, _happy: 0.2).events()
    best = math.inf
    for _ in range(3):
        started = time.process_time()
        decide(ExperimentLog.of(events))
        best = min(best, time.process_time() - started)
    return round(best, 3)


def measure(size: Size, seed: int) -> dict[str, Any]:
    """Returns every figure."""
    started = time.perf_counter()
    found = statistic(size, seed)
    mine = found.pop("ours")
    return {
        **mine,
        "promoter_aa": {f"{base:g}": promoter(size, seed, base) for base in BASES},
        "median_harm": harm(size, seed),
        "srm_false_alarm": max(split_alarms(size, seed, share) for share in (0.05, 0.25, 0.5)),
        "clustered_drift": tangled(size, seed),
        "several": several(size, seed),
        "decide_28000_threads_s": seconds_for_28000_threads(),
        "peers": found,
        "runs": vars(size),
        "wall_s": round(time.perf_counter() - started, 1),
    }


def rate_limit(bound: float, runs: int, size: Size) -> float:
    """Returns what a rate may reach: with few runs three standard errors above its bound."""
    return bound + (3 * math.sqrt(bound * (1 - bound) / runs) if size is QUICK else 0.0)


def median_limit(bound: float, size: Size) -> float:
    """Returns what a median may reach: with few runs 15 % above its bound."""
    return bound * (1.15 if size is QUICK else 1.0)


def broken_bounds(found: dict[str, Any], size: Size) -> list[str]:
    """Returns the bounds that are not met."""
    checks: list[tuple[str, float, float]] = [
        *(
            (f"aa_false_promotion {base}", rate, rate_limit(0.05, size.false_promotions, size))
            for base, rate in found["aa_false_promotion"].items()
        ),
        *(
            (f"promoter_aa {base}", rate, rate_limit(0.03, size.false_promotions, size))
            for base, rate in found["promoter_aa"].items()
        ),
        *(
            (f"median_ratings {lift}", found["median_ratings"][lift], median_limit(bound, size))
            for lift, bound in (("0.05", 1950), ("0.10", 450), ("0.15", 215))
        ),
        ("median_harm", found["median_harm"], median_limit(550, size)),
        ("srm_false_alarm", found["srm_false_alarm"], rate_limit(0.003, size.splits, size)),
        ("clustered_drift", found["clustered_drift"], rate_limit(0.05, size.clusters, size)),
        *crowd_checks(found["several"], size),
        ("decide_28000_threads_s", found["decide_28000_threads_s"], 1.0),
    ]
    return [f"{name} is {value:g}, above {top:g}" for name, value, top in checks if value > top]


def crowd_checks(found: dict[str, Any], size: Size) -> list[tuple[str, float, float]]:
    """Returns name, figure and limit of what is promised for several challengers."""
    checks = []
    for key, median in (("2", 930), ("3", 1240)):
        crowd = found["together"][key]
        rates = {
            "aa_false_promotion": (found["aa_false_promotion"][key], 0.05),
            "missed": (1 - crowd["promoted"], 0.10),
            "wrong": (1 - crowd["right"], 0.02),
        }
        checks += [
            (f"several {name} {key}", rate, rate_limit(bound, size.crowds, size))
            for name, (rate, bound) in rates.items()
        ]
        ratings = crowd["median_ratings"]
        checks.append((f"several median_ratings {key}", ratings, median_limit(median, size)))
    return checks


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description="Benchmark of the experiment engine.")
    parser.add_argument("--quick", action="store_true", help="few runs, wider bounds")
    parser.add_argument("--seed", type=int, default=20260101)
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    found = measure(size, arguments.seed)
    broken = broken_bounds(found, size)
    print(json.dumps(found | {"broken_bounds": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
