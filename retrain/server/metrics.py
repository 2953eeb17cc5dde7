"""The tgi_* metrics in Prometheus' text format; names as in TGI's router. Others are our own."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TOKENS = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)


@dataclass(kw_only=True)
class Histogram:
    """Cumulative buckets, sum and count."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Makes one bucket a bound and one for everything above."""
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> list[str]:
        """Returns the exposition lines."""
        lines, below = [f"# TYPE {name} histogram"], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            label = "+Inf" if bound == float("inf") else f"{bound:g}"
            lines.append(f'{name}_bucket{{le="{label}"}} {below}')
        return [*lines, f"{name}_sum {self.total}", f"{name}_count {below}"]


class Metrics:
    """Everything `/metrics` shows."""

    def __init__(self) -> None:
        self._success = 0
        self._count = 0
        self._failures: Counter[str] = Counter()
        self._read: dict[str, tuple[str, Callable[[], int]]] = {}
        self._histograms = {
            "tgi_request_duration": Histogram(bounds=SECONDS),
            "tgi_request_validation_duration": Histogram(bounds=SECONDS),
            "tgi_request_queue_duration": Histogram(bounds=SECONDS),
            "tgi_request_inference_duration": Histogram(bounds=SECONDS),
            "tgi_request_mean_time_per_token_duration": Histogram(bounds=SECONDS),
            "tgi_request_input_length": Histogram(bounds=TOKENS),
            "tgi_request_generated_tokens": Histogram(bounds=TOKENS),
        }

    def gauge(self, name: str, read: Callable[[], int]) -> None:
        """Shows a number that is read when asked for."""
        self._read[name] = ("gauge", read)

    def counter(self, name: str, read: Callable[[], int]) -> None:
        """Shows a number that only grows and is read when asked for."""
        self._read[name] = ("counter", read)

    def started(self) -> None:
        """Counts a request."""
        self._count += 1

    def failed(self, kind: str) -> None:
        """Counts a failure; `kind` is overloaded, validation, generation, dropped or template."""
        self._failures[kind] += 1

    def finished(
        self,
        *,
        input_tokens: int,
        generated: int,
        validation_s: float,
        queue_s: float,
        inference_s: float,
        total_s: float,
    ) -> None:
        """Counts a success and where its time went."""
        self._success += 1
        values = (
            total_s, validation_s, queue_s, inference_s, inference_s / max(generated, 1),
            float(input_tokens), float(generated),
        )  # fmt: skip
        for histogram, value in zip(self._histograms.values(), values, strict=True):
            histogram.observe(value)

    def render(self) -> str:
        """Returns the page."""
        lines: list[str] = []
        for name, (kind, read) in self._read.items():
            lines += [f"# TYPE {name} {kind}", f"{name} {read()}"]
        lines += ["# TYPE tgi_request_count counter", f"tgi_request_count {self._count}"]
        lines += ["# TYPE tgi_request_success counter", f"tgi_request_success {self._success}"]
        lines.append("# TYPE tgi_request_failure counter")
        lines += [
            f'tgi_request_failure{{err="{kind}"}} {count}'
            for kind, count in sorted(self._failures.items())
        ]
        for name, histogram in self._histograms.items():
            lines += histogram.lines(name)
        return "\n".join(lines) + "\n"
