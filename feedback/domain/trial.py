"""An experiment as stored: one row, moved by compare-and-set, plus its stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One champion/challenger experiment.

    Attributes:
        state: Name of a state of `retrain.experiments.machine`.
        stage: Ramp stage in force.
        share: Challenger share of that stage.
        policy: Constants of the experiment, frozen at its start.
        slow_ms: Latency above which an answer counts as slow: the champion's 95th percentile
            before the start; None when it had no answers yet.
    """

    id: str
    cycle_id: str
    challenger_id: str
    champion_id: str | None
    salt: str
    policy: Mapping[str, Any]
    slow_ms: float | None
    state: str
    stage: str
    share: float
    version: int
    decision: str | None = None
    evidence: Mapping[str, Any] | None = None
    started_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TrialStage:
    """A ramp stage and when it came into force."""

    seq: int
    stage: str
    share: float
    entered_at: datetime


def decision_words(code: str) -> str:
    """Returns a decision as people say it: `HOLD_response` is "hold: response"."""
    if code == "NONE":
        return "undecided"
    first, _, rest = code.replace("_GUARD:", "_").partition("_")
    return f"{first.lower()}: {rest.lower().replace('_', ' ')}" if rest else first.lower()
