"""From events to threads: what each thread was given, delivered, scored and rated, and when.

Positions are indices of events in the ordered log; NEVER (-1) means that it did not happen.
Everything is stored with the position at which it became known, so that the state at any earlier
moment can be read off the same arrays.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.experiments.events import (
    SCORED_METRICS,
    AdapterSeen,
    Assigned,
    Corrected,
    Delivered,
    Ended,
    Event,
    FeedbackGiven,
    PairVoted,
    Scored,
    StageEntered,
    Tick,
    Undelivered,
    Vote,
)
from retrain.experiments.log import ExperimentLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEVER = -1
HOUR = 3600.0
DAY = 86400.0


@dataclass(frozen=True, kw_only=True)
class Threads:
    """Analysed threads in order of assignment; n of them, arrays of shape (n,) unless said.

    Attributes:
        key_rank: Rank of the thread's key in text order: the order of ties.
        arm: 1 = challenger.
        share: Challenger share when the thread began.
        assigned, delivered, undelivered: Positions (the first of each).
        bad: Position of the first bad score, shape (n, 4) in the order of SCORED_METRICS.
        known: Position from which each score is known, shape (n, 4).
        first_vote: Position of the first thumb or correction; `first_outcome` its value.
        outcome: y in [0, 1] at maturity; NaN when nobody had rated by then, or not yet mature.
        corrected: Whether any answer was corrected by maturity.
    """

    key_rank: Ints
    arm: Ints
    share: Floats
    assigned: Ints
    delivered: Ints
    undelivered: Ints
    bad: Ints
    known: Ints
    first_vote: Ints
    first_outcome: Floats
    outcome: Floats
    corrected: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What happened besides the threads themselves.

    Attributes:
        rated: Rows (position, thread, +1 | -1): the thread became rated, or its last rating
            was taken back. Shape (rows, 3).
        votes: Rows (position, kind, arm, +1 | -1), kind 0 up, 1 down, 2 corrected answer.
        rater_thread, rater: Who had rated which thread by its maturity: equal-length pairs.
        pairs: Rows (position, 1 | 0) of decisive blind votes: the challenger won, or lost.
        excluded: Positions of assignments that are not analysed.
        looks: Positions of ticks and of the end.
        end, sha_changed: Positions, or NEVER.
        stages: `(position, stage, share)`.
    """

    rated: Ints
    votes: Ints
    rater_thread: Ints
    rater: Ints
    excluded: Ints
    looks: Ints
    end: int
    sha_changed: int
    pairs: Ints
    stages: tuple[tuple[int, str, float], ...]


@dataclass(kw_only=True, slots=True)
class _Thread:
    """A thread while its events are being read. Most are never rated: no empty containers."""

    index: int
    key: str
    user: str
    arm: int
    share: float
    assigned: int
    delivered: int = NEVER
    undelivered: int = NEVER
    mature_at: float = math.inf
    first_vote: int = NEVER
    first_outcome: float = math.nan
    votes: dict[tuple[str, str], bool] | None = None
    corrected: dict[str, set[str]] | None = None
    closed: bool = False
    outcome: float = math.nan
    raters: tuple[str, ...] = ()
    was_corrected: bool = False

    @property
    def rated(self) -> bool:
        return bool(self.votes) or bool(self.corrected)

    def close(self) -> None:
        """Takes the outcome, once: the mean over rated answers, a corrected one counting 0."""
        if self.closed:
            return
        self.closed = True
        corrected, votes = self.corrected or {}, self.votes or {}
        if not corrected and not votes:
            return
        self.was_corrected = bool(corrected)
        answers: dict[str, list[bool]] = {answer: [] for answer in corrected}
        for (answer, _user), up in sorted(votes.items()):
            answers.setdefault(answer, []).append(up)
        values = [
            0.0 if answer in corrected else sum(ups) / len(ups)
            for answer, ups in sorted(answers.items())
        ]
        self.outcome = sum(values) / len(values)
        correctors = {user for users in corrected.values() for user in users}
        self.raters = tuple(sorted({user for _answer, user in votes} | correctors))


class _Fold:
    """Reads events one by one; every method is told the event's position."""

    def __init__(self, log: ExperimentLog) -> None:
        self.times: list[float] = log.times.tolist()
        self.maturity = log.opening.policy.maturity_hours * HOUR
        self.threads: dict[str, _Thread] = {}
        self.rated: list[tuple[int, int, int]] = []
        self.votes: list[tuple[int, int, int, int]] = []
        self.excluded: list[int] = []
        self.left_out: set[str] = set()
        self.looks: list[int] = []
        self.end = NEVER
        self.sha_changed = NEVER
        self.stages: list[tuple[int, str, float]] = []
        self.scores: list[int] = []
        """Flat rows (thread, metric, position, bad): one list, because there are so many."""
        self.shas = dict(log.opening.shas)
        self.pairs: list[tuple[int, int]] = []
        self.voted_pairs: set[str] = set()

    def stage(self, position: int, event: StageEntered) -> None:
        self.stages.append((position, event.stage, event.share))

    def assigned(self, position: int, event: Assigned) -> None:
        key = event.thread
        if key in self.threads or key in self.left_out:
            return  # the stored row wins: a thread keeps its first arm for life
        share = event.share
        if share is None:
            share = self.stages[-1][2] if self.stages else 0.0
        share = round(share, 12)
        if event.forced or not 0.0 < share < 1.0:
            self.left_out.add(key)
            self.excluded.append(position)
            return
        self.threads[key] = _Thread(
            index=len(self.threads),
            key=key,
            user=event.user,
            arm=event.arm,
            share=share,
            assigned=position,
        )

    def delivered(self, position: int, event: Delivered) -> None:
        thread = self.threads.get(event.thread)
        if thread is not None and thread.delivered == NEVER:
            thread.delivered = position
            thread.mature_at = self.times[position] + self.maturity

    def undelivered(self, position: int, event: Undelivered) -> None:
        thread = self.threads.get(event.thread)
        if thread is not None and thread.undelivered == NEVER:
            thread.undelivered = position

    def scored(self, position: int, event: Scored) -> None:
        thread = self.threads.get(event.thread)
        if thread is None:
            return
        for column, flag in enumerate((event.tone, event.ground, event.error, event.slow)):
            if flag is not None:
                self.scores.extend((thread.index, column, position, flag))

    def feedback(self, position: int, event: FeedbackGiven) -> None:
        thread = self._open_for(position, event.thread)
        if thread is None:
            return
        before = thread.rated
        key = (event.answer, event.user or thread.user)
        if thread.votes is None:
            thread.votes = {}
        old = thread.votes.pop(key, None)
        if old is not None:
            self.votes.append((position, 0 if old else 1, thread.arm, -1))
        if event.vote is not Vote.NONE:
            up = event.vote is Vote.UP
            thread.votes[key] = up
            self.votes.append((position, 0 if up else 1, thread.arm, 1))
            self._first(thread, position, float(up))
        self._mark_rated(thread, position, before=before)

    def correction(self, position: int, event: Corrected) -> None:
        thread = self._open_for(position, event.thread)
        if thread is None:
            return
        before = thread.rated
        if thread.corrected is None:
            thread.corrected = {}
        if event.answer not in thread.corrected:
            self.votes.append((position, 2, thread.arm, 1))
        thread.corrected.setdefault(event.answer, set()).add(event.user or thread.user)
        self._first(thread, position, 0.0)
        self._mark_rated(thread, position, before=before)

    def pair(self, position: int, event: PairVoted) -> None:
        if event.pair in self.voted_pairs:
            return  # one vote a pair: the first
        self.voted_pairs.add(event.pair)
        if event.winner is not None:
            self.pairs.append((position, event.winner))

    def adapter(self, position: int, event: AdapterSeen) -> None:
        if self.shas.setdefault(event.arm, event.sha) != event.sha and self.sha_changed == NEVER:
            self.sha_changed = position

    def tick(self, position: int, _event: Tick) -> None:
        self.looks.append(position)

    def ended(self, position: int, _event: Ended) -> None:
        self.looks.append(position)
        self.end = position

    def _open_for(self, position: int, key: str) -> _Thread | None:
        thread = self.threads.get(key)
        if thread is not None and self.times[position] >= thread.mature_at:
            thread.close()
        return thread

    @staticmethod
    def _first(thread: _Thread, position: int, value: float) -> None:
        if thread.first_vote == NEVER:
            thread.first_vote, thread.first_outcome = position, value

    def _mark_rated(self, thread: _Thread, position: int, *, before: bool) -> None:
        if thread.rated != before:
            self.rated.append((position, thread.index, 1 if thread.rated else -1))


def fold(log: ExperimentLog) -> tuple[Threads, Marks]:
    """Folds an ordered log into threads and marks."""
    reader = _Fold(log)
    handlers: Mapping[type[Event], Callable[[int, Any], None]] = {
        StageEntered: reader.stage,
        Assigned: reader.assigned,
        Delivered: reader.delivered,
        Undelivered: reader.undelivered,
        Scored: reader.scored,
        FeedbackGiven: reader.feedback,
        Corrected: reader.correction,
        PairVoted: reader.pair,
        AdapterSeen: reader.adapter,
        Tick: reader.tick,
        Ended: reader.ended,
    }
    for position, event in enumerate(log.events[1:], start=1):
        handlers[type(event)](position, event)
    now = reader.times[-1]
    threads = list(reader.threads.values())
    for thread in threads:
        if thread.mature_at <= now:
            thread.close()
    return _threads(threads, reader.scores), _marks(reader, threads)


def _threads(threads: list[_Thread], scores: list[int]) -> Threads:
    ranks = np.empty(len(threads), dtype=np.int64)
    ranks[sorted(range(len(threads)), key=lambda i: threads[i].key)] = np.arange(len(threads))
    known, bad = _scores(len(threads), scores)
    return Threads(
        key_rank=ranks,
        arm=_ints([t.arm for t in threads]),
        share=_floats([t.share for t in threads]),
        assigned=_ints([t.assigned for t in threads]),
        delivered=_ints([t.delivered for t in threads]),
        undelivered=_ints([t.undelivered for t in threads]),
        bad=bad,
        known=known,
        first_vote=_ints([t.first_vote for t in threads]),
        first_outcome=_floats([t.first_outcome for t in threads]),
        outcome=_floats([t.outcome for t in threads]),
        corrected=np.array([t.was_corrected for t in threads], dtype=np.bool_),
    )


def _scores(threads: int, scores: list[int]) -> tuple[Ints, Ints]:
    """Returns the first positions at which scores were known, and bad, shape (threads, 4)."""
    rows = _ints(scores).reshape(-1, 4)[::-1]  # of several assignments the last one stays
    known = np.full((threads, len(SCORED_METRICS)), NEVER, dtype=np.int64)
    bad = known.copy()
    known[rows[:, 0], rows[:, 1]] = rows[:, 2]
    rows = rows[rows[:, 3] == 1]
    bad[rows[:, 0], rows[:, 1]] = rows[:, 2]
    return known, bad


def _marks(reader: _Fold, threads: list[_Thread]) -> Marks:
    rated = [t for t in threads if t.raters]
    names = {
        user: number
        for number, user in enumerate(sorted({user for t in rated for user in t.raters}))
    }
    pairs = [(t.index, names[user]) for t in rated for user in t.raters]
    return Marks(
        rated=_ints(reader.rated).reshape(-1, 3),
        votes=_ints(reader.votes).reshape(-1, 4),
        rater_thread=_ints([thread for thread, _user in pairs]),
        rater=_ints([user for _thread, user in pairs]),
        excluded=_ints(reader.excluded),
        looks=_ints(reader.looks),
        end=reader.end,
        sha_changed=reader.sha_changed,
        pairs=_ints(reader.pairs).reshape(-1, 2),
        stages=tuple(reader.stages),
    )


def _ints(values: object) -> Ints:
    return np.array(values, dtype=np.int64)


def _floats(values: object) -> Floats:
    return np.array(values, dtype=np.float64)
