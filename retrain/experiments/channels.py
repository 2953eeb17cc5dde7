"""The channels: which rows each piece of evidence reads, in which order, and when it trips."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.experiments import evidence
from retrain.experiments.events import GUARD_METRICS, SCORED_METRICS
from retrain.experiments.policy import ExperimentPolicy
from retrain.experiments.state import Threads
from retrain.experiments.timeline import UNSEEN, Timeline

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIFT_GRID: Floats = np.round(np.arange(-40, 41) / 100.0, 2)
"""Lifts that the interval tries; a bound beyond it is reported as -1 or 1."""
TWO_SIDED_E = 40.0
"""Rejects a lift from either side at 2 x 1/40 = 5 % in all."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One e-process along the timeline.

    Attributes:
        rank: Rank at which every row became known, ascending, shape (n,).
        thread: The row's thread, shape (n,).
        log_e: log E after every row, shape (n,).
    """

    rank: Ints
    thread: Ints
    log_e: Floats

    def rows_at(self, rank: int) -> int:
        """Returns how many rows were known at `rank`, itself included."""
        return int(np.searchsorted(self.rank, rank, side="right"))

    def at(self, rank: int) -> float:
        """Returns log E at `rank`; 0 before the first row."""
        rows = self.rows_at(rank)
        return float(self.log_e[rows - 1]) if rows else 0.0

    def trip(self, threshold: float, *, since: int = 0) -> int:
        """Returns the first rank, not before `since`, whose row has E >= threshold; or UNSEEN."""
        first = int(np.searchsorted(self.rank, since, side="left"))
        hits = np.flatnonzero(self.log_e[first:] >= np.log(threshold))
        return int(self.rank[first + hits[0]]) if hits.size else UNSEEN


class Channels:
    """Every channel of one log, each computed once and only when asked for."""

    def __init__(
        self,
        threads: Threads,
        timeline: Timeline,
        policy: ExperimentPolicy,
        *,
        matured: Ints,
        pairs: Ints,
    ) -> None:
        """Builds the rows.

        Args:
            threads: The folded log.
            timeline: Order of everything; clock kind 1 is "overdue", by thread.
            policy: The constants.
            matured: Rank at which each thread matured, UNSEEN if not, shape (threads,).
            pairs: Rows (position, 1 | 0) of decisive blind votes.
        """
        self._threads = threads
        self._timeline = timeline
        self._policy = policy
        self._matured = matured
        self._pairs = pairs

    @cached_property
    def outcome_thread(self) -> Ints:
        """Rated matured threads in order of processing."""
        rated = np.where(np.isnan(self._threads.outcome), UNSEEN, self._matured)
        return _in_order(rated)

    @cached_property
    def outcome_rank(self) -> Ints:
        """Rank of each of them."""
        return self._matured[self.outcome_thread]

    def _outcome(self, log_e: Floats) -> Channel:
        return Channel(rank=self.outcome_rank, thread=self.outcome_thread, log_e=log_e)

    @cached_property
    def outcome_rows(self) -> evidence.Rows:
        """Their rows."""
        return self.rows_of(self.outcome_thread)

    def rows_of(self, thread: Ints) -> evidence.Rows:
        """Returns the rows of matured threads, with a centre of their own."""
        threads = self._threads
        return evidence.Rows.of(
            threads.arm[thread], threads.share[thread], threads.outcome[thread], self._policy
        )

    @cached_property
    def promote(self) -> Channel:
        """Better?"""
        return self._outcome(evidence.promote_log_e(self.outcome_rows, self._policy))

    @cached_property
    def pairs(self) -> Channel:
        """Better, by blind votes on pairs of answers? Its rows are votes, not threads."""
        rank, won = self._timeline.of_events(self._pairs[:, 0]), self._pairs[:, 1]
        return Channel(rank=rank, thread=won, log_e=evidence.pairs_log_e(won, self._policy))

    def better(self, rank: int, *, without: Channel | None = None) -> float:
        """Returns log E of the promote evidence: outcomes, and votes for the part they carry.

        Two e-values on one hypothesis may be averaged, with weights fixed before the start.

        Args:
            rank: The moment.
            without: Takes the place of the outcomes' channel.
        """
        outcomes, part = (without or self.promote).at(rank), self._policy.pair_part
        if not part:
            return outcomes
        votes = self.pairs.at(rank) + math.log(part)
        return float(np.logaddexp(outcomes + math.log1p(-part), votes))

    @cached_property
    def harm(self) -> Channel:
        """Worse, by matured outcomes?"""
        return self._outcome(evidence.harm_log_e(self.outcome_rows, self._policy))

    @cached_property
    def harm_fast(self) -> Channel:
        """Worse, by the first feedback of each thread, in arrival order?"""
        threads, rank = self._threads, self._timeline.of_events(self._threads.first_vote)
        thread = _in_order(rank)
        rows = evidence.Rows.of(
            threads.arm[thread], threads.share[thread], threads.first_outcome[thread], self._policy
        )
        log_e = evidence.harm_log_e(rows, self._policy)
        return Channel(rank=rank[thread], thread=thread, log_e=log_e)

    def futility(self, margin: float) -> Channel:
        """Is the lift certainly below `margin`?"""
        if margin not in self._futility:
            log_e = evidence.at_least_log_e(self.outcome_rows, margin, self._policy)
            self._futility[margin] = self._outcome(log_e)
        return self._futility[margin]

    @cached_property
    def _futility(self) -> dict[float, Channel]:
        return {}

    @cached_property
    def guards(self) -> dict[str, Channel]:
        """Bad events by metric: the first of each thread."""
        threads = self._threads
        delivered = self._timeline.of_events(threads.delivered)
        ranks = {
            metric: np.maximum(self._timeline.of_events(threads.bad[:, column]), delivered)
            for column, metric in enumerate(SCORED_METRICS)
        }
        overdue = self._timeline.clock[OVERDUE]
        ranks["undelivered"] = np.minimum(
            self._timeline.of_events(threads.undelivered),
            np.where(overdue < delivered, overdue, UNSEEN),
        )
        return {
            metric: self._coins(ranks[metric], evidence.guard_log_e) for metric in GUARD_METRICS
        }

    @cached_property
    def srm_assigned(self) -> Channel:
        """Are threads split as promised?"""
        return self._coins(self._timeline.of_events(self._threads.assigned), evidence.srm_log_e)

    @cached_property
    def srm_delivered(self) -> Channel:
        """And those that got an answer?"""
        return self._coins(self._timeline.of_events(self._threads.delivered), evidence.srm_log_e)

    def _coins(self, rank: Ints, formula: "_Formula") -> Channel:
        thread = _in_order(rank)
        arm, share = self._threads.arm[thread], self._threads.share[thread]
        return Channel(rank=rank[thread], thread=thread, log_e=formula(arm, share, self._policy))

    @cached_property
    def _rejections(self) -> dict[str, Ints]:
        """First row at which each lift of the grid is rejected, by side and threshold."""
        rows, policy = self.outcome_rows, self._policy
        found: dict[str, list[Ints]] = {name: [] for name in ("low1", "low2", "high1", "high2")}
        step = max(1, _CELLS // max(1, rows.arm.size))
        for start in range(0, len(LIFT_GRID), step):
            lifts = LIFT_GRID[start : start + step, None]
            for side, formula in _SIDES:
                log_e = formula(rows, lifts, policy)
                found[f"{side}1"].append(_first(log_e, policy.stop_threshold))
                found[f"{side}2"].append(_first(log_e, TWO_SIDED_E))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def interval(self, rank: int) -> tuple[float, float, float, float]:
        """Returns (lower, upper) two-sided and (lower, upper) one-sided 95 % bounds of the lift.

        Valid at every look together: a lift once rejected stays rejected.
        """
        rows = self.promote.rows_at(rank)
        bounds = []
        for name in ("low2", "high2", "low1", "high1"):
            gone = LIFT_GRID[self._rejections[name] < rows]
            if name.startswith("low"):
                bounds.append(float(gone.max()) if gone.size else -1.0)
            else:
                bounds.append(float(gone.min()) if gone.size else 1.0)
        return bounds[0], bounds[1], bounds[2], bounds[3]

    @cached_property
    def _without(self) -> dict[int, Channel]:
        return {}

    def promote_without(self, rater: int, rated_by: Ints) -> Channel:
        """Returns the promote channel without the threads that one rater rated.

        Args:
            rater: The rater's number.
            rated_by: Threads of that rater.
        """
        if rater not in self._without:
            keep = ~np.isin(self.outcome_thread, rated_by)
            thread = self.outcome_thread[keep]
            log_e = evidence.promote_log_e(self.rows_of(thread), self._policy)
            self._without[rater] = Channel(rank=self.outcome_rank[keep], thread=thread, log_e=log_e)
        return self._without[rater]


_SIDES = (("low", evidence.at_most_log_e), ("high", evidence.at_least_log_e))
_CELLS = 100_000
"""Lifts times rows worked on at once: enough for speed, little enough for the cache."""

OVERDUE = 1
"""Which clock kind of the timeline holds overdue answers, one for each thread."""


class _Formula(Protocol):
    def __call__(
        self, arm: NDArray[np.integer], share: Floats, policy: ExperimentPolicy, /
    ) -> Floats: ...


def _in_order(rank: Ints) -> Ints:
    """Returns the threads that have a rank, by rank."""
    order = np.argsort(rank, kind="stable")
    return order[rank[order] < UNSEEN]


def _first(log_e: Floats, threshold: float) -> Ints:
    """Returns the first row of each path that reaches E = threshold; UNSEEN where none does."""
    hits = log_e >= np.log(threshold)
    if not hits.shape[-1]:
        return np.full(len(hits), UNSEEN, dtype=np.int64)
    return np.where(hits.any(axis=-1), hits.argmax(axis=-1), UNSEEN)
