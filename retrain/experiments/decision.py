"""The decision after any prefix of the log: the earliest trip wins, and stays."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

import numpy as np

from retrain.experiments.case import ARM_NAMES, ArmCounts, Case
from retrain.experiments.evidence import lift_estimate
from retrain.experiments.gates import GateResult, check_gates
from retrain.experiments.log import ExperimentLog
from retrain.experiments.state import DAY, HOUR
from retrain.experiments.timeline import UNSEEN

PROMOTE = "PROMOTE"
HOLD = "HOLD_"
REJECTED_HARM = "REJECTED_HARM"
REJECTED_GUARD = "REJECTED_GUARD:"
FREEZE_SRM = "FREEZE_SRM"
FUTILE = "FUTILE"
INCONCLUSIVE = "INCONCLUSIVE"
INVALID = "INVALID"
NONE = "NONE"
EVIDENCE = "evidence"
"""Stands first in `waiting_for` while promote E is too small."""
SILENCE = "traffic"
"""Stands last in it while no new thread has begun for a while."""

LARGEST_LOG_E = 690.0
"""E is reported up to e^690, which still fits a float; the logs are reported beside it."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """log E of every channel, and what the lift may be.

    Attributes:
        lift: Estimate of challenger rate minus champion rate.
        low, high: Two-sided 95 % bounds, valid at every look together; -1 or 1 while unknown.
        low_one_sided, high_one_sided: One-sided 95 % bounds.
        futility_margin: The lift that futility speaks of.
    """

    promote: float
    pairs: float
    harm: float
    harm_fast: float
    guardrails: Mapping[str, float]
    srm_assigned: float
    srm_delivered: float
    futility: float
    futility_margin: float
    lift: float
    low: float
    high: float
    low_one_sided: float
    high_one_sided: float

    def to_row(self) -> dict[str, Any]:
        """Returns E values (capped, so that they are numbers) and their logs."""
        logs = {
            "primary": self.promote,
            "pairs": self.pairs,
            "harm": self.harm,
            "harm_fast": self.harm_fast,
            "srm": max(self.srm_assigned, self.srm_delivered),
            "srm_assigned": self.srm_assigned,
            "srm_delivered": self.srm_delivered,
            "futility": self.futility,
        }
        return {
            **{name: _e(value) for name, value in logs.items()},
            "guardrails": {name: _e(value) for name, value in self.guardrails.items()},
            "futility_margin": self.futility_margin,
            "lift": {
                "estimate": self.lift,
                "low": self.low,
                "high": self.high,
                "low_one_sided": self.low_one_sided,
                "high_one_sided": self.high_one_sided,
            },
            "log": {**logs, "guardrails": dict(self.guardrails)},
        }


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do now, and everything it rests on.

    Attributes:
        decision: PROMOTE, HOLD_<gate>, REJECTED_HARM, REJECTED_GUARD:<metric>, FREEZE_SRM,
            FUTILE, INCONCLUSIVE, INVALID or NONE.
        ts: Seconds at which the rule was met; the last event's time while nothing is decided.
        day: The same in days from the start.
        reason: One sentence.
        waiting_for: What is missing for a promotion; at INCONCLUSIVE what a person should look at.
    """

    decision: str
    ts: float
    day: float
    reason: str
    evidence: Evidence
    counts: tuple[ArmCounts, ArmCounts]
    excluded: int
    waiting_for: tuple[GateResult, ...]

    @property
    def final(self) -> bool:
        """Whether no later event can change it."""
        return self.decision != NONE and not self.decision.startswith(HOLD)

    def to_row(self) -> dict[str, Any]:
        """Returns the JSON object of `understudy experiment replay`."""
        return {
            "decision": self.decision,
            "ts": self.ts,
            "day": self.day,
            "reason": self.reason,
            "evidence": self.evidence.to_row(),
            "counts": {
                **{
                    name: asdict(counts)
                    for name, counts in zip(ARM_NAMES, self.counts, strict=True)
                },
                "excluded": self.excluded,
            },
            "waiting_for": [
                {"gate": gate.gate, "reason": gate.reason, "needs": dict(gate.needs)}
                for gate in self.waiting_for
            ],
        }


@dataclass(frozen=True, kw_only=True, order=True)
class _Trip:
    """Something that ends the experiment. At one moment the safer end wins."""

    rank: int
    priority: int
    decision: str
    reason: str


class Analysis:
    """All decisions of one log: computed together, read off at any event."""

    def __init__(self, case: Case, *, stops_only: bool = False, promote_from: float = 0.0) -> None:
        """Prepares a case.

        Args:
            case: The folded log.
            stops_only: Only harm, guardrails, split and adapter are watched: nobody is promoted
                and nothing times out. For READY (a promotion waits for a person) and HOLDBACK.
            promote_from: Looks before this second promote nobody: a person let that chance pass.
        """
        self._case = case
        self._stops_only = stops_only
        self._promote_from = promote_from

    @classmethod
    def of(
        cls, log: ExperimentLog, *, stops_only: bool = False, promote_from: float = 0.0
    ) -> "Analysis":
        """Folds and analyses a log."""
        return cls(Case.of(log), stops_only=stops_only, promote_from=promote_from)

    def at(self, position: int) -> Decision:
        """Returns the decision after the event at `position`; later events are not looked at."""
        rank = int(self._case.timeline.event[position])
        trip = self._trip
        if trip is not None and trip.rank <= rank:
            return self._decision(trip.decision, trip.reason, trip.rank)
        return self._undecided(rank)

    def last(self) -> Decision:
        """Returns the decision after the last event."""
        return self.at(len(self._case.times) - 1)

    def every(self) -> Iterator[Decision]:
        """Yields the decision after every event."""
        for position in range(len(self._case.times)):
            yield self.at(position)

    @cached_property
    def _trip(self) -> _Trip | None:
        trips = [*self._stops()]
        if not self._stops_only:
            trips += self._ends()
        stop = min((trip for trip in trips if trip.rank < UNSEEN), default=None)
        if self._stops_only:
            return stop
        promotion = self._promotion(before=UNSEEN if stop is None else stop.rank)
        return min((trip for trip in (stop, promotion) if trip is not None), default=None)

    def _stops(self) -> Iterator[_Trip]:
        case, channels, policy = self._case, self._case.channels, self._case.policy
        if case.marks.sha_changed >= 0:
            yield _Trip(
                rank=int(case.timeline.event[case.marks.sha_changed]),
                priority=0,
                decision=INVALID,
                reason="an adapter file changed during the experiment",
            )
        for name, channel in (
            ("assigned", channels.srm_assigned),
            ("delivered", channels.srm_delivered),
        ):
            yield _Trip(
                rank=channel.trip(policy.srm_threshold),
                priority=1,
                decision=FREEZE_SRM,
                reason=f"{name} threads are not split as promised",
            )
        for metric, channel in channels.guards.items():
            yield _Trip(
                rank=channel.trip(policy.guard_threshold),
                priority=2,
                decision=f"{REJECTED_GUARD}{metric}",
                reason=f"the challenger's {metric} events exceed {policy.guard_ratio:g} times "
                "the champion's",
            )
        for name, channel in (
            ("first ratings", channels.harm_fast),
            ("outcomes", channels.harm),
        ):
            yield _Trip(
                rank=channel.trip(policy.stop_threshold),
                priority=3,
                decision=REJECTED_HARM,
                reason=f"{name} say that the challenger is worse",
            )

    def _ends(self) -> Iterator[_Trip]:
        case, policy = self._case, self._case.policy
        from_time = float(case.times[0]) + policy.futility_from_day * DAY
        since = int(np.searchsorted(case.timeline.time, from_time, side="left"))
        if since < len(case.timeline.time):
            margin = case.futility_margin(len(case.timeline.time) - 1)
            channel = case.channels.futility(margin)
            rank = channel.trip(policy.stop_threshold, since=since)
            if channel.at(since) >= math.log(policy.stop_threshold):
                rank = since
            yield _Trip(
                rank=rank,
                priority=4,
                decision=FUTILE,
                reason=f"the lift is below {margin:g}",
            )
        for rank, reason in ((self._timeout(), "timed out"), (self._end_rank(), "ended")):
            yield _Trip(
                rank=rank,
                priority=6,
                decision=INCONCLUSIVE,
                reason=f"{reason} without a promotion, the champion stays",
            )

    def _timeout(self) -> int:
        """Returns when the experiment times out: later when there is little traffic."""
        case = self._case
        first, second = case.timeouts
        if first < UNSEEN and case.traffic(first) >= case.policy.timeout_traffic:
            return first
        return max(first, second)

    def _end_rank(self) -> int:
        end = self._case.marks.end
        return int(self._case.timeline.event[end]) if end >= 0 else UNSEEN

    def _promotion(self, *, before: int) -> _Trip | None:
        """Returns the first look, up to rank `before`, at which every gate is open."""
        case = self._case
        needed = math.log(case.policy.promote_threshold)
        scheduled = {int(rank) for rank in case.grid if rank < UNSEEN}
        looks = scheduled | {int(rank) for rank in case.timeline.event[case.marks.looks]}
        for rank in takewhile(lambda rank: rank <= before, sorted(looks)):
            if case.now(rank) < self._promote_from or case.channels.better(rank) < needed:
                continue
            failed = next((g for g in self._gates(rank) if not g.passed), None)
            if failed is None:
                return _Trip(
                    rank=rank,
                    priority=5,
                    decision=PROMOTE,
                    reason="the challenger is better and every gate is open",
                )
            if failed.gate == "response" and rank in scheduled:
                self._response_failed_at = min(self._response_failed_at, rank)
        return None

    _response_failed_at: int = UNSEEN
    """First scheduled check that failed on the response gate; on-demand looks leave no trace."""

    def _gates(self, rank: int) -> Iterator[GateResult]:
        return check_gates(self._case, rank, response_failed=self._response_failed_at < rank)

    def _undecided(self, rank: int) -> Decision:
        if self._stops_only:
            return self._decision(NONE, "nothing has tripped", rank)
        waiting = self._waiting(rank)
        if waiting and waiting[0].gate != EVIDENCE:
            return self._decision(f"{HOLD}{waiting[0].gate}", waiting[0].reason, rank, waiting)
        reason = f"gates are checked every {self._case.policy.gate_hours:g} h"
        return self._decision(NONE, waiting[0].reason if waiting else reason, rank, waiting)

    def _waiting(self, rank: int) -> tuple[GateResult, ...]:
        """Returns what stands between this moment and a promotion, the evidence first."""
        threshold = self._case.policy.promote_threshold
        log_e = self._case.channels.better(rank)
        evidence = GateResult(
            gate=EVIDENCE,
            passed=log_e >= math.log(threshold),
            reason=f"promote E is {_e(log_e):.3g}, needs {threshold:g}",
        )
        return tuple(gate for gate in (evidence, *self._gates(rank)) if not gate.passed)

    def _decision(
        self, decision: str, reason: str, rank: int, waiting: tuple[GateResult, ...] = ()
    ) -> Decision:
        case = self._case
        if decision == INCONCLUSIVE:
            waiting = self._waiting(rank)
            reason = f"{reason}: {waiting[0].reason}" if waiting else reason
        if decision == NONE and (silent := self._silence(rank)) is not None:
            waiting = (*waiting, silent)
        return Decision(
            decision=decision,
            ts=case.now(rank),
            day=case.day(rank),
            reason=reason,
            evidence=self._evidence(rank),
            counts=case.counts(rank),
            excluded=int(np.count_nonzero(case.timeline.of_events(case.marks.excluded) <= rank)),
            waiting_for=waiting,
        )

    def _silence(self, rank: int) -> GateResult | None:
        """Returns an alarm when no thread began for a while: no data is neither good nor bad."""
        case = self._case
        known = int(np.searchsorted(case.assigned_rank, rank, side="right"))
        since = float(case.began[known - 1] if known else case.times[0])
        hours = (case.now(rank) - since) / HOUR
        if hours < case.policy.silence_hours:
            return None
        return GateResult(gate=SILENCE, passed=False, reason=f"no new thread for {hours:.1f} h")

    def _evidence(self, rank: int) -> Evidence:
        case, channels = self._case, self._case.channels
        margin = case.futility_margin(rank)
        rows, threads = case.matured_outcomes(rank), case.threads
        low, high, low_one, high_one = channels.interval(rank)
        return Evidence(
            promote=channels.promote.at(rank),
            pairs=channels.pairs.at(rank),
            harm=channels.harm.at(rank),
            harm_fast=channels.harm_fast.at(rank),
            guardrails={name: channel.at(rank) for name, channel in channels.guards.items()},
            srm_assigned=channels.srm_assigned.at(rank),
            srm_delivered=channels.srm_delivered.at(rank),
            futility=channels.futility(margin).at(rank),
            futility_margin=margin,
            lift=lift_estimate(threads.arm[rows], threads.share[rows], threads.outcome[rows]),
            low=low,
            high=high,
            low_one_sided=low_one,
            high_one_sided=high_one,
        )


def decide(log: ExperimentLog, now: float | None = None, *, promote_from: float = 0.0) -> Decision:
    """Returns the decision on a log.

    Args:
        log: Events so far.
        now: Seconds at which the log is looked at; None means at its last event. A look at a
            later `now` counts as a tick: write one to the log first where decisions are acted on.
        promote_from: Looks before this second promote nobody.
    """
    return Analysis.of(log if now is None else log.at(now), promote_from=promote_from).last()


def watch(log: ExperimentLog, now: float | None = None) -> Decision:
    """Returns what would stop a challenger that already waits for approval or is held back."""
    return Analysis.of(log if now is None else log.at(now), stops_only=True).last()


def _e(log_e: float) -> float:
    return math.exp(min(log_e, LARGEST_LOG_E))
