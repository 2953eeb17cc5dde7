"""What the gates found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The outcome of one gate."""

    PASS = "pass"  # noqa: S105  (an outcome)
    FAIL = "fail"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What one gate found.

    Attributes:
        champion: The champion's value, None when not measured.
        challenger: The challenger's value, None when not measured.
        n: Paired examples.
        gained: Examples that only the challenger has right.
        lost: Examples that only the champion has right.
        reason: One sentence for an operator.
        needed_n: Examples that would decide it, when it cannot be told yet and that is known.
    """

    gate: str
    status: Status
    champion: float | None
    challenger: float | None
    n: int
    gained: int = 0
    lost: int = 0
    margin: float | None = None
    reason: str
    needed_n: int | None = None


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """What was found in one slice, for one metric.

    Attributes:
        slice: `name: value`, such as `channel: C1`.
        champion: The champion's value in the slice, None when it has no example.
        challenger: The challenger's value, None when it has no example.
        n: Paired examples.
        reason: One sentence for an operator.
        needed_n: Examples that would decide it, when that is known.
    """

    slice: str
    metric: str
    status: Status
    champion: float | None
    challenger: float | None
    n: int
    gained: int = 0
    lost: int = 0
    reason: str
    needed_n: int | None = None


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """All gates together. `passed` only when every single one passed.

    Attributes:
        slices: What the gate on slices looked at.
    """

    passed: bool
    results: tuple[GateResult, ...]
    slices: tuple[SliceResult, ...] = ()

    @property
    def stopped_by(self) -> str | None:
        """The gate that says most about why not: the first failure, else the first unknown."""
        for status in (Status.FAIL, Status.CANNOT_TELL):
            for result in self.results:
                if result.status is status:
                    return result.gate
        return None

    @property
    def headline(self) -> str:
        """One sentence on the whole."""
        if self.passed:
            return f"all {len(self.results)} gates passed"
        stopping = [r for r in self.results if r.gate == self.stopped_by]
        others = sum(r.status is not Status.PASS for r in self.results) - 1
        more = f" (and {others} more)" if others else ""
        return f"stopped by {stopping[0].gate}: {stopping[0].reason}{more}"

    def to_row(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        return {
            "passed": self.passed,
            "stopped_by": self.stopped_by,
            "headline": self.headline,
            "results": [asdict(result) for result in self.results],
            "slices": [asdict(found) for found in self.slices],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "GateReport":
        """Reads what `to_row` wrote."""
        results = tuple(GateResult(**{**r, "status": Status(r["status"])}) for r in row["results"])
        slices = tuple(
            SliceResult(**{**s, "status": Status(s["status"])}) for s in row.get("slices", ())
        )
        return cls(passed=bool(row["passed"]), results=results, slices=slices)
