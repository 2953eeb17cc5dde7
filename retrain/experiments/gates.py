"""What must hold, all at once, before enough evidence becomes a promotion."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from retrain.experiments.case import ARM_NAMES, Case
from retrain.experiments.evidence import centred, complement, lift_estimate
from retrain.experiments.state import DAY, HOUR


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate at one moment.

    Attributes:
        reason: A sentence with the figure and the limit, whether it passed or not.
        needs: What is still missing, by name; empty when the gate is open or time alone,
            ratings alone or nothing countable would open it.
    """

    gate: str
    passed: bool
    reason: str
    needs: Mapping[str, float] = field(default_factory=dict)


def check_gates(case: Case, rank: int, *, response_failed: bool) -> Iterator[GateResult]:
    """Yields every gate in its fixed order, each worked out only when asked for.

    Args:
        case: The folded log.
        rank: The moment.
        response_failed: Whether an earlier scheduled check failed on the response gate.
    """
    yield duration(case, rank)
    yield samples(case, rank)
    yield response(case, rank, failed_before=response_failed)
    yield from (gate(case, rank) for gate in _LATER_GATES)


def duration(case: Case, rank: int) -> GateResult:
    """A matured thread must have begun late enough to outlive a novelty."""
    limit = case.policy.min_begin_day
    from_day = float(case.times[0]) + limit * DAY
    passed = bool(np.any((case.matured <= rank) & (case.began >= from_day)))
    earliest = limit + case.policy.maturity_hours * HOUR / DAY
    left = max(0.0, earliest - case.day(rank))
    return GateResult(
        gate="duration",
        passed=passed,
        reason=f"needs a matured thread that began on day {limit:g} or later",
        needs={} if passed else {"days": round(left, 6)},
    )


def samples(case: Case, rank: int) -> GateResult:
    """Each arm needs rated and delivered matured threads."""
    policy, arm = case.policy, case.threads.arm
    matured = case.matured <= rank
    rated = matured & ~np.isnan(case.threads.outcome)
    needs: dict[str, float] = {}
    have = []
    for which, name in enumerate(ARM_NAMES):
        counts = [int(np.count_nonzero(mask & (arm == which))) for mask in (rated, matured)]
        have.append(f"{name} {counts[0]} rated, {counts[1]} delivered")
        for count, limit, what in (
            (counts[0], policy.min_rated, "rated"),
            (counts[1], policy.min_delivered, "delivered"),
        ):
            if count < limit:
                needs[f"{name}_{what}"] = limit - count
    return GateResult(
        gate="samples",
        passed=not needs,
        reason=(
            f"needs {policy.min_rated} rated and {policy.min_delivered} delivered matured threads "
            f"in each arm; has {'; '.join(have)}"
        ),
        needs=needs,
    )


def response(case: Case, rank: int, *, failed_before: bool) -> GateResult:
    """The challenger must not be rated less often: silence may hide unhappy people.

    Over threads delivered more than a day ago, with R = rated by now:
    d = (A - pi)(R - mean R)/(pi(1-pi)), z = sum d / sqrt(sum d^2), p = Phi(z).
    """
    policy, threads = case.policy, case.threads
    limit = policy.response_p_after_failure if failed_before else policy.response_p
    old_enough = case.now(rank) - policy.response_age_hours * HOUR
    use = (case.delivered_rank <= rank) & (case.first_answer < old_enough)
    rated = case.rated(rank)[use].astype(np.float64)
    if not rated.size:
        return GateResult(
            gate="response",
            passed=False,
            reason=f"no delivered thread is older than {policy.response_age_hours:g} h",
        )
    share = threads.share[use]
    weight = centred(threads.arm[use], share) / (share * complement(share))
    distance = weight * (rated - rated.mean())
    scale = math.sqrt(float(np.sum(distance**2)))
    p = NormalDist().cdf(float(np.sum(distance)) / scale) if scale else 0.5
    return GateResult(
        gate="response",
        passed=p >= limit,
        reason=f"p that the challenger is not rated less often is {p:.3f}, needs {limit:g}",
    )


def recency(case: Case, rank: int) -> GateResult:
    """The newer half of the last stage must keep its part of the lift."""
    policy, threads = case.policy, case.threads
    rows = case.matured_outcomes(rank)
    arm, outcome = threads.arm[rows], threads.outcome[rows]
    overall = lift_estimate(arm, threads.share[rows], outcome)
    start = float(case.times[0])
    half = start + (case.now(rank) - policy.maturity_hours * HOUR - start) / 2
    newer = (case.began[rows] > half) & (threads.share[rows] >= policy.final_share)
    sides = [outcome[newer & (arm == which)] for which in (0, 1)]
    if not all(side.size for side in sides):
        return GateResult(
            gate="recency",
            passed=False,
            reason=f"no rated matured thread of the {policy.final_share:.0%} stage in the newer "
            "half for one of the arms",
        )
    recent = float(sides[1].mean() - sides[0].mean())
    return GateResult(
        gate="recency",
        passed=recent >= policy.recency_part * overall,
        reason=(
            f"lift of the newer half is {recent:+.3f}, needs {policy.recency_part:g} of the "
            f"overall {overall:+.3f}"
        ),
    )


def concentration(case: Case, rank: int) -> GateResult:
    """No single person may carry the evidence."""
    policy, marks = case.policy, case.marks
    limit = policy.leave_out_e
    rated = case.matured[marks.rater_thread] <= rank
    votes = np.bincount(marks.rater[rated]) if rated.any() else np.zeros(0, dtype=np.int64)
    top = np.argsort(-votes, kind="stable")[: policy.leave_out_users]
    lowest = math.inf
    for rater in top[votes[top] > 0]:
        theirs = marks.rater_thread[marks.rater == rater]
        without = case.channels.better(
            rank, without=case.channels.promote_without(int(rater), theirs)
        )
        lowest = min(lowest, without)
    return GateResult(
        gate="concentration",
        passed=lowest >= math.log(limit) if limit > 0 else True,
        reason=(
            f"lowest E without one of the {policy.leave_out_users} busiest raters is "
            f"{math.exp(min(lowest, 700.0)):.3g}, needs {limit:g}"
        ),
    )


def integrity(case: Case, rank: int) -> GateResult:
    """The experiment must be what it says: no guardrail or split alarm, every score known.

    An unknown score is not a healthy one. (A changed adapter file ends the experiment at once.)
    """
    policy, channels = case.policy, case.channels
    late = case.now(rank) - policy.score_grace_hours * HOUR
    due = (case.delivered_rank <= rank) & (case.first_answer <= late)
    missing = int(np.count_nonzero(due & (case.known_rank > rank)))
    problems = []
    if missing:
        problems.append(f"{missing} delivered threads lack scores")
    for name, channel, limit in (
        ("assigned split", channels.srm_assigned, policy.srm_threshold),
        ("delivered split", channels.srm_delivered, policy.srm_threshold),
        *((name, channel, policy.guard_threshold) for name, channel in channels.guards.items()),
    ):
        if channel.at(rank) >= math.log(limit):
            problems.append(f"{name} E is at {limit:g} or above")
    if case.timeline.event[case.marks.sha_changed] <= rank and case.marks.sha_changed >= 0:
        problems.append("an adapter file changed")
    return GateResult(
        gate="integrity",
        passed=not problems,
        reason="; ".join(problems) or "every score is known and no alarm is raised",
        needs={"scores": missing} if missing else {},
    )


_LATER_GATES: tuple[Callable[[Case, int], GateResult], ...] = (recency, concentration, integrity)

GATES = ("duration", "samples", "response", "recency", "concentration", "integrity")
