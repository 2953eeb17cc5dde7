"""One total order over everything that can change a decision.

Some moments are events; others are reached by the clock alone (an outcome matures, an answer is
overdue, gates are due, the experiment times out). A clock moment is *seen* at the first event
whose time is not before it, and comes just before that event. So what is known after a prefix of
the log never depends on the rest of the log.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Clock moments of one kind.

    Attributes:
        at: Seconds, shape (n,).
        tie: Order among moments of the same time and kind, shape (n,).
    """

    at: Floats
    tie: Ints


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Ranks in the total order.

    Attributes:
        event: Rank of every event, shape (events,), ascending.
        clock: Rank of every clock moment, one array for each kind, in the order given;
            UNSEEN where the log ends before the moment.
        time: Seconds of every rank.
    """

    event: Ints
    clock: tuple[Ints, ...]
    time: Floats

    @classmethod
    def of(cls, times: Floats, kinds: tuple[Moments, ...]) -> "Timeline":
        """Orders events and clock moments; at one time earlier kinds come first.

        Args:
            times: Seconds of every event, never falling.
            kinds: Clock moments by kind.
        """
        at = np.concatenate([times, *(moments.at for moments in kinds)])
        kind = np.repeat(np.arange(len(kinds) + 1), [len(times), *(len(m.at) for m in kinds)])
        tie = np.concatenate([np.arange(len(times)), *(moments.tie for moments in kinds)])
        seen = np.arange(len(at), dtype=np.float64)
        clock = slice(len(times), None)
        seen[clock] = np.searchsorted(times, at[clock], side="left") - 0.5
        order = np.lexsort((tie, kind, at, seen))
        order = order[seen[order] < len(times) - 0.5]
        rank = np.full(len(at), UNSEEN, dtype=np.int64)
        rank[order] = np.arange(len(order))
        borders = np.cumsum([len(times), *(len(moments.at) for moments in kinds)])
        event, *clocks = np.split(rank, borders[:-1])
        return cls(event=event, clock=tuple(clocks), time=at[order])

    def of_events(self, positions: Ints) -> Ints:
        """Returns the ranks of event positions, UNSEEN for a negative one."""
        return np.where(positions >= 0, self.event[np.maximum(positions, 0)], UNSEEN)


UNSEEN = np.iinfo(np.int64).max
"""The rank of what has not happened: later than everything that has."""
