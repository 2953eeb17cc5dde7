"""How a run tells where it is: a port, and the file that other processes read."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report of a run.

    Attributes:
        step: Counted over all stages, as is `total_steps`.
        loss: Mean over the steps since the last report.
        tokens_per_s: Trained tokens a second since the start of this process.
        eta_s: Seconds left at the present speed.
        rss_mb: Resident memory high-water mark.
        watched_loss: Of the rows that are only watched, at the last checkpoint; None before.
        stage: `examples`, or `preferences` in a second stage, whose loss is another measure.
    """

    step: int
    total_steps: int
    loss: float
    learning_rate: float
    tokens_per_s: float
    eta_s: float
    rss_mb: float
    watched_loss: float | None = None
    stage: Literal["examples", "preferences"] = "examples"


class ProgressSink(Protocol):
    """Takes reports; must be quick and must not raise."""

    def report(self, progress: Progress) -> None:
        """Takes one report."""
        ...


class NoProgress:
    """Drops every report."""

    def report(self, progress: Progress) -> None:
        """Takes one report."""


class CallbackProgress:
    """Hands every report to a function."""

    def __init__(self, callback: Callable[[Progress], None]) -> None:
        self._callback = callback

    def report(self, progress: Progress) -> None:
        """Takes one report."""
        self._callback(progress)


class JsonlProgress:
    """Appends one JSON line a report; readers skip a last line that is not whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def report(self, progress: Progress) -> None:
        """Takes one report."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(progress)) + "\n")
