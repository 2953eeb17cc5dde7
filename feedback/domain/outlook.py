"""Gates and what they say together: what is missing, how fast it comes, when it may open."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

RATE_DAYS = 7
"""Rates are those of the last days, this many."""
_FAR = timedelta(days=3 * 365)
"""Beyond this no date is named: it would only pretend to know."""


class GateState(StrEnum):
    """Whether a gate stands in the way; a note stands beside it."""

    OPEN = "open"
    CLOSED = "closed"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One condition.

    Attributes:
        missing: How much is still needed, of `unit`; None when it cannot be counted.
        per_day: How fast it has come lately.
        expected: When it opens if that goes on; None when nobody can tell.
    """

    gate: str
    state: GateState
    reason: str
    missing: float | None = None
    unit: str = ""
    per_day: float | None = None
    expected: datetime | None = None

    @property
    def closed(self) -> bool:
        """Whether it stands in the way."""
        return self.state is GateState.CLOSED


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """One question, answered: why is there no training, or no promotion?

    Attributes:
        title: What it is about.
        expected: The earliest moment at which every gate is open; None when nobody can tell.
    """

    title: str
    headline: str
    gates: tuple[Gate, ...]
    expected: datetime | None

    @property
    def closed(self) -> tuple[Gate, ...]:
        """The gates that stand in the way."""
        return tuple(gate for gate in self.gates if gate.closed)


def countable(
    gate: str, reason: str, *, missing: float, unit: str, lately: int, now: datetime
) -> Gate:
    """Returns a gate that opens when enough has come; `lately` is what the last days brought."""
    if not missing:
        return Gate(gate=gate, state=GateState.OPEN, reason=reason, missing=0, unit=unit)
    rate = lately / RATE_DAYS
    expected = after(now, missing / rate) if rate else None
    closed = Gate(gate=gate, state=GateState.CLOSED, reason=reason)
    return counted(closed, missing, unit, rate, expected)


def counted(
    gate: Gate, missing: float, unit: str, rate: float | None, expected: datetime | None
) -> Gate:
    """Returns a gate with what it still needs and when that may be there."""
    return replace(gate, missing=missing, unit=unit, per_day=rate, expected=expected)


def note(gate: str, reason: str) -> Gate:
    """Returns something worth knowing that stands in nobody's way."""
    return Gate(gate=gate, state=GateState.NOTE, reason=reason)


def after(now: datetime, days: float) -> datetime | None:
    """Returns the moment so many days from now, None when it is too far to be told."""
    return now + timedelta(days=days) if days <= _FAR.days else None


def latest(closed: Sequence[Gate], now: datetime) -> datetime | None:
    """Returns when the last of the closed gates opens, None when one of them cannot tell."""
    moments = [gate.expected for gate in closed]
    known = [moment for moment in moments if moment is not None]
    return max(known, default=now) if len(known) == len(moments) else None


def closed_names(closed: Sequence[Gate]) -> str:
    """Returns the closed gates as half a sentence."""
    names = ", ".join(gate.gate for gate in closed)
    return f"the gates {names} are closed" if len(closed) > 1 else f"the gate {names} is closed"


def outlook_row(outlook: Outlook) -> dict[str, Any]:
    """Returns JSON."""
    return {
        "title": outlook.title,
        "headline": outlook.headline,
        "expected": outlook.expected.isoformat() if outlook.expected else None,
        "gates": [
            {
                "gate": gate.gate,
                "state": gate.state.value,
                "reason": gate.reason,
                "missing": gate.missing,
                "unit": gate.unit,
                "per_day": gate.per_day,
                "expected": gate.expected.isoformat() if gate.expected else None,
            }
            for gate in outlook.gates
        ],
    }


def describe_gate(gate: Gate) -> str:
    """Returns one line: what the gate says, what is missing, and when it may open."""
    parts = [gate.reason]
    if gate.closed and gate.missing:
        rate = f" at {gate.per_day:.1f} a day" if gate.per_day else ""
        missing = f"{gate.missing:,.1f}".removesuffix(".0")
        parts.append(f"{missing} {gate.unit} missing{rate}")
    if gate.closed and gate.expected is not None:
        parts.append(f"expected on {gate.expected:%Y-%m-%d}")
    elif gate.closed and gate.per_day == 0:
        parts.append(f"none came in the last {RATE_DAYS} days, so no date can be told")
    return "; ".join(parts)
