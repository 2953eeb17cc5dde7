"""One log made ready to be asked what was known at any moment of it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain.experiments.channels import Channels
from retrain.experiments.events import SCORED_METRICS
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import ExperimentPolicy
from retrain.experiments.state import DAY, HOUR, NEVER, Marks, Threads, fold
from retrain.experiments.timeline import Moments, Timeline

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ARM_NAMES = ("champion", "challenger")


@dataclass(frozen=True, kw_only=True)
class ArmCounts:
    """How far one arm has come: threads, except the last three, which count answers' votes."""

    assigned: int
    delivered: int
    undelivered: int
    rated: int
    matured: int
    matured_rated: int
    up: int
    down: int
    corrected: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """Threads, marks and channels on one timeline. Moments are ranks of that timeline.

    Attributes:
        policy: The constants.
        scores: Metrics that every delivered thread must be scored on.
        times: Seconds of every event.
        threads, marks: The folded log.
        timeline: Order of events and clock moments.
        grid: Ranks of the scheduled gate checks that were reached, ascending.
        timeouts: Ranks at which the experiment times out, busy and low-traffic; UNSEEN if not.
        channels: The evidence.
    """

    policy: ExperimentPolicy
    scores: tuple[str, ...]
    times: Floats
    threads: Threads
    marks: Marks
    timeline: Timeline
    matured: Ints
    grid: Ints
    timeouts: tuple[int, int]
    channels: Channels

    @classmethod
    def of(cls, log: ExperimentLog) -> "Case":
        """Folds a log."""
        threads, marks = fold(log)
        opening = log.opening
        return cls.assemble(opening.policy, log.times, threads, marks, scores=opening.scores)

    @classmethod
    def assemble(
        cls,
        policy: ExperimentPolicy,
        times: Floats,
        threads: Threads,
        marks: Marks,
        *,
        scores: tuple[str, ...] = SCORED_METRICS,
    ) -> "Case":
        """Builds the timeline of folded threads."""
        start, end = float(times[0]), float(times[-1])
        first_answer = np.where(threads.delivered >= 0, times[threads.delivered], np.inf)
        step = policy.gate_hours * HOUR
        # One check too many is not seen; one too few, by rounding, would be missed.
        checks = start + step * np.arange(1, int((end - start) // step) + 2, dtype=np.float64)
        limits: Floats = start + DAY * np.array(
            [policy.timeout_days, policy.timeout_days_low_traffic]
        )
        kinds = (
            Moments(at=first_answer + policy.maturity_hours * HOUR, tie=threads.key_rank),
            Moments(at=times[threads.assigned] + policy.undelivered_seconds, tie=threads.key_rank),
            Moments(at=checks, tie=np.arange(len(checks))),
            Moments(at=limits, tie=np.arange(2)),
        )
        timeline = Timeline.of(times, kinds)
        matured = timeline.clock[0]
        return cls(
            policy=policy,
            scores=scores,
            times=times,
            threads=threads,
            marks=marks,
            timeline=timeline,
            matured=matured,
            grid=timeline.clock[2],
            timeouts=(int(timeline.clock[3][0]), int(timeline.clock[3][1])),
            channels=Channels(threads, timeline, policy, matured=matured, pairs=marks.pairs),
        )

    def now(self, rank: int) -> float:
        """Returns the time of a moment in seconds."""
        return float(self.timeline.time[rank])

    def day(self, rank: int) -> float:
        """Returns the days from the experiment's start to a moment."""
        return (self.now(rank) - float(self.times[0])) / DAY

    @cached_property
    def assigned_rank(self) -> Ints:
        """Rank of each thread's assignment."""
        return self.timeline.of_events(self.threads.assigned)

    @cached_property
    def delivered_rank(self) -> Ints:
        """Rank of each thread's first answer."""
        return self.timeline.of_events(self.threads.delivered)

    @cached_property
    def began(self) -> Floats:
        """Seconds at which each thread began."""
        return self.times[self.threads.assigned]

    @cached_property
    def first_answer(self) -> Floats:
        """Seconds of each thread's first answer; infinity without one."""
        delivered = self.threads.delivered
        return np.where(delivered == NEVER, np.inf, self.times[delivered])

    @cached_property
    def known_rank(self) -> Ints:
        """Rank from which every score that is asked for is known, shape (threads,)."""
        columns = [SCORED_METRICS.index(metric) for metric in self.scores]
        ranks = self.timeline.of_events(self.threads.known[:, columns])
        latest: Ints = np.max(ranks, axis=1, initial=-1)
        return latest

    @cached_property
    def _rated_rank(self) -> Ints:
        return self.timeline.of_events(self.marks.rated[:, 0])

    def rated(self, rank: int) -> Mask:
        """Returns which threads had a rating at a moment, shape (threads,)."""
        rows = int(np.searchsorted(self._rated_rank, rank, side="right"))
        known = self.marks.rated[:rows]
        balance = np.bincount(known[:, 1], weights=known[:, 2], minlength=len(self.threads.arm))
        return balance > 0

    def matured_outcomes(self, rank: int) -> Ints:
        """Returns the rated matured threads at a moment, in order of processing."""
        return self.channels.outcome_thread[: self.channels.promote.rows_at(rank)]

    def traffic(self, rank: int, *, first_days: float | None = None) -> float:
        """Returns assigned threads per day up to a moment, or of the first days only."""
        ends = float(self.times[0]) + DAY * (self.day(rank) if first_days is None else first_days)
        days = min(self.day(rank), np.inf if first_days is None else first_days)
        known = self.assigned_rank <= rank
        if first_days is not None:
            known &= self.began < ends
        return float(np.count_nonzero(known)) / max(days, 1.0)

    def futility_margin(self, rank: int) -> float:
        """Returns d: fixed by the policy, or by the traffic before futility may act."""
        policy = self.policy
        if policy.futility_margin is not None:
            return policy.futility_margin
        traffic = self.traffic(rank, first_days=policy.futility_from_day)
        if traffic < policy.futility_traffic:
            return policy.futility_margin_low_traffic
        return policy.futility_margin_busy

    def counts(self, rank: int) -> tuple[ArmCounts, ArmCounts]:
        """Returns the counts of champion and challenger at a moment."""
        arm = self.threads.arm
        matured = self.matured <= rank
        rows = int(
            np.searchsorted(self.timeline.of_events(self.marks.votes[:, 0]), rank, side="right")
        )
        votes = self.marks.votes[:rows]
        sums = np.zeros((2, 3), dtype=np.int64)
        np.add.at(sums, (votes[:, 2], votes[:, 1]), votes[:, 3])
        masks = {
            "assigned": self.assigned_rank <= rank,
            "delivered": self.delivered_rank <= rank,
            "undelivered": np.isin(np.arange(len(arm)), self._undelivered(rank)),
            "rated": self.rated(rank),
            "matured": matured,
            "matured_rated": matured & ~np.isnan(self.threads.outcome),
        }
        champion, challenger = (
            ArmCounts(
                **{name: int(np.count_nonzero(mask[arm == which])) for name, mask in masks.items()},
                up=int(sums[which, 0]),
                down=int(sums[which, 1]),
                corrected=int(sums[which, 2]),
            )
            for which in (0, 1)
        )
        return champion, challenger

    def _undelivered(self, rank: int) -> Ints:
        channel = self.channels.guards["undelivered"]
        return channel.thread[: channel.rows_at(rank)]
