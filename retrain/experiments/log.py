"""The ordered log: duplicates removed, in true order, from the opening event to the end."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from feedback.errors import InvalidInputError
from retrain.experiments.events import Ended, Event, ExperimentOpened, Tick


@dataclass(frozen=True, kw_only=True)
class ExperimentLog:
    """Events of one experiment, whatever order and however often they arrived.

    Attributes:
        events: Sorted by `seq`; the first is the opening, an `Ended` can only be the last.
        times: Seconds at which each event is believed to have happened, never falling: a `ts`
            below an earlier one counts as that earlier one, so that the past stays closed.
            Shape (events,).
    """

    events: tuple[Event, ...]
    times: NDArray[np.float64]

    @property
    def opening(self) -> ExperimentOpened:
        """The event that fixed the rules."""
        first = self.events[0]
        assert isinstance(first, ExperimentOpened)
        return first

    @classmethod
    def of(cls, events: Iterable[Event]) -> "ExperimentLog":
        """Orders events. What precedes the opening or follows the end is left out.

        Raises:
            InvalidInputError: When there is no opening event, or more than one: nothing is ever
                carried over from one experiment to the next.
        """
        unique: dict[str, Event] = {}
        for event in events:
            known = unique.setdefault(event.id, event)
            if known is not event and _order(event) < _order(known):
                unique[event.id] = event
        ordered = sorted(unique.values(), key=lambda event: (event.seq, event.id))
        openings = [i for i, event in enumerate(ordered) if isinstance(event, ExperimentOpened)]
        if len(openings) != 1:
            raise InvalidInputError(
                f"expected exactly one event of type experiment, found {len(openings)}: give the "
                "log of one experiment, from its start"
            )
        ordered = ordered[openings[0] :]
        for position, event in enumerate(ordered):
            if isinstance(event, Ended):
                ordered = ordered[: position + 1]
                break
        times = np.maximum.accumulate(np.array([event.ts for event in ordered], dtype=np.float64))
        return cls(events=tuple(ordered), times=times)

    def prefix(self, length: int) -> "ExperimentLog":
        """Returns the log as it was after its first `length` events (at least the opening)."""
        length = max(1, length)
        return replace(self, events=self.events[:length], times=self.times[:length])

    def at(self, now: float) -> "ExperimentLog":
        """Returns the log looked at at time `now` (seconds): a tick is added if time has passed."""
        last = self.events[-1]
        if isinstance(last, Ended) or now <= self.times[-1]:
            return self
        tick = Tick(id=f"look:{now!r}", seq=last.seq + 1, ts=now)
        return replace(self, events=(*self.events, tick), times=np.append(self.times, now))


def _order(event: Event) -> tuple[int, str]:
    """Two events that share an id: the earlier one counts, then the smaller text."""
    return event.seq, repr(event)
