"""What a person sees while the demo runs, and what is measured of each step."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread

import psutil
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

_SAMPLE_S = 0.5


@dataclass(kw_only=True)
class StepReport:
    """One step of the demo.

    Attributes:
        seconds: Wall time.
        peak_mb: Highest resident memory of all our processes together, database included.
        detail: What came of it, in words.
    """

    name: str
    seconds: float = 0.0
    peak_mb: float = 0.0
    detail: str = ""


@dataclass(kw_only=True)
class Bar:
    """One step's progress bar; `advance` moves it, `say` tells what came of the step."""

    report: StepReport
    progress: Progress
    task: TaskID

    def advance(self) -> None:
        """One more unit is done."""
        self.progress.advance(self.task)

    def expect(self, total: int) -> None:
        """Sets how many units there are."""
        self.progress.update(self.task, total=total)

    def reach(self, done: int) -> None:
        """Sets how many units are done."""
        self.progress.update(self.task, completed=done)

    def say(self, detail: str) -> None:
        """Stores and shows what came of the step."""
        self.report.detail = detail


class Stage:
    """Runs steps one after another under one live display."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[StepReport] = []
        self._meter = MemoryMeter()

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Bar]:
        """Shows a bar while the block runs, and a line with its outcome afterwards."""
        report = StepReport(name=name)
        self.steps.append(report)
        self._meter.restart()
        started = time.monotonic()
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        ) as progress:
            bar = Bar(report=report, progress=progress, task=progress.add_task(name, total=total))
            yield bar
        report.seconds = round(time.monotonic() - started, 1)
        report.peak_mb = self._meter.peak_mb()
        self.console.print(
            f"[green]\N{CHECK MARK}[/green] {name} [dim]{report.seconds:.0f} s[/dim]  "
            f"{report.detail}",
            highlight=False,
        )

    def close(self) -> None:
        """Stops measuring."""
        self._meter.stop()


@dataclass(kw_only=True)
class MemoryMeter:
    """Samples the memory of this process and everything it started."""

    _peak: int = 0
    _stopped: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def restart(self) -> None:
        """Forgets the peak and samples from now on."""
        self._peak = 0
        if self._thread is None:
            self._thread = Thread(target=self._run, name="memory-meter", daemon=True)
            self._thread.start()

    def peak_mb(self) -> float:
        """Returns the peak since the last restart in MB."""
        self._sample()
        return round(self._peak / 1e6, 0)

    def stop(self) -> None:
        """Ends the sampling."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_SAMPLE_S):
            self._sample()

    def _sample(self) -> None:
        own = psutil.Process()
        total = 0
        for process in [own, *own.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        self._peak = max(self._peak, total)
