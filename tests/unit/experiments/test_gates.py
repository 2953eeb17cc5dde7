"""Gate formulas against plain readings of them, on simulated teams."""

import math
from statistics import mean

import numpy as np
import pytest

from retrain.experiments.case import Case
from retrain.experiments.events import Assigned, Delivered, FeedbackGiven
from retrain.experiments.evidence import at_least_log_e, at_most_log_e
from retrain.experiments.gates import check_gates, concentration, recency, response
from tests.unit.experiments.company import DAY, Company

CASE_OF = Company(
    days=12,
    per_day=150,
    rate=lambda arm, _day: 0.8 if arm else 0.7,
    rated=lambda arm, _happy: 0.25 if arm else 0.3,
)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case.of(CASE_OF.log())


def last(case: Case) -> int:
    return len(case.timeline.time) - 1


def test_response_is_the_documented_z(case: Case) -> None:
    log = CASE_OF.log()
    now = float(log.times[-1])
    threads = {e.thread: e for e in log.events if isinstance(e, Assigned)}
    answered = {e.thread for e in log.events if isinstance(e, Delivered) and e.ts < now - DAY}
    rated = {e.thread for e in log.events if isinstance(e, FeedbackGiven)}
    share_rated = mean(float(thread in rated) for thread in answered)
    distances = []
    for thread in sorted(answered):
        a, pi = threads[thread].arm, threads[thread].share
        assert pi is not None
        distances.append((a - pi) * ((thread in rated) - share_rated) / (pi * (1 - pi)))
    z = sum(distances) / math.sqrt(sum(d * d for d in distances))
    p = (1 + math.erf(z / math.sqrt(2))) / 2
    result = response(case, last(case), failed_before=False)
    assert f"{p:.3f}" in result.reason
    assert result.passed == (p >= 0.10)
    assert response(case, last(case), failed_before=True).passed == (p >= 0.25)


def test_recency_compares_arm_means_of_the_newer_half(case: Case) -> None:
    threads, start = case.threads, float(case.times[0])
    now = case.now(last(case))
    half = start + (now - 3 * DAY - start) / 2
    newer: dict[int, list[float]] = {0: [], 1: []}
    rows = []
    for i, y in enumerate(threads.outcome):
        if np.isnan(y) or case.matured[i] > last(case):
            continue
        rows.append((threads.arm[i], threads.share[i], y))
        if case.began[i] > half and threads.share[i] == 0.5:
            newer[int(threads.arm[i])].append(float(y))
    average = mean(float(y) for _, _, y in rows)
    overall = mean((a - pi) * (y - average) / (pi * (1 - pi)) for a, pi, y in rows)
    recent = mean(newer[1]) - mean(newer[0])
    result = recency(case, last(case))
    assert f"newer half is {recent:+.3f}" in result.reason
    assert f"overall {overall:+.3f}" in result.reason
    assert result.passed == (recent >= overall / 2)


def test_concentration_leaves_whole_people_out() -> None:
    """With two raters only, leaving either out leaves the evidence of the other."""
    company = Company(days=12, per_day=150, users=2, rate=lambda arm, _day: 0.95 if arm else 0.55)
    case = Case.of(company.log())
    rank = last(case)
    alone = []
    for rater in (0, 1):
        theirs = case.marks.rater_thread[case.marks.rater == rater]
        kept = np.setdiff1d(case.matured_outcomes(rank), theirs)
        assert kept.size
        alone.append(case.channels.promote_without(rater, theirs).at(rank))
    result = concentration(case, rank)
    assert f"{math.exp(min(alone)):.3g}" in result.reason
    assert case.channels.promote.at(rank) > max(alone)


def test_gates_come_in_the_documented_order(case: Case) -> None:
    names = [gate.gate for gate in check_gates(case, last(case), response_failed=False)]
    assert names == [
        "duration",
        "samples",
        "response",
        "recency",
        "concentration",
        "integrity",
    ]


def test_before_anything_has_happened_every_gate_of_evidence_is_closed() -> None:
    case = Case.of(Company(days=1, per_day=0).log())
    closed = [g.gate for g in check_gates(case, 0, response_failed=False) if not g.passed]
    assert closed[:4] == ["duration", "samples", "response", "recency"]


def test_the_lift_interval_is_what_no_row_has_rejected(case: Case) -> None:
    rank = last(case)
    rows = case.channels.outcome_rows
    assert case.channels.promote.rows_at(rank) == len(rows.arm)
    low, high, low_one, high_one = case.channels.interval(rank)
    lifts = [step / 100 for step in range(-40, 41)]
    for bound, formula, threshold, pick in (
        (low, at_most_log_e, 40, max),
        (low_one, at_most_log_e, 20, max),
        (high, at_least_log_e, 40, min),
        (high_one, at_least_log_e, 20, min),
    ):
        gone = [x for x in lifts if formula(rows, x, case.policy).max() >= math.log(threshold)]
        assert bound == pick(gone)
    assert low < low_one < 0.1 < high_one < high
