"""A retraining cycle as a state machine: every state is a row, every step can be repeated.

MINING -> WEIGHING -> BUILDING -> TRAINING -> EVALUATING -> GATING -> PUBLISHING -> EXPERIMENTING
-> PROMOTING -> DONE. Any state may end the cycle early; the outcome says how. One cycle at a time
is at work up to PUBLISHING; several challengers on stage are as many cycles EXPERIMENTING.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from feedback.errors import ConflictError


class CycleState(StrEnum):
    """Where a cycle is."""

    MINING = "mining"
    WEIGHING = "weighing"
    BUILDING = "building"
    TRAINING = "training"
    EVALUATING = "evaluating"
    GATING = "gating"
    PUBLISHING = "publishing"
    EXPERIMENTING = "experimenting"
    PROMOTING = "promoting"
    DONE = "done"


class CycleOutcome(StrEnum):
    """How a cycle ended."""

    PROMOTED = "promoted"
    STOPPED = "stopped"
    """A gate said no; nobody saw the adapter."""
    ENDED = "ended"
    """The experiment ended without a promotion."""
    NOT_NEEDED = "not_needed"
    """Too few labels, or cheaper fixes come first."""
    FAILED = "failed"
    """A step failed for good."""


_NEXT = {
    CycleState.MINING: CycleState.WEIGHING,
    CycleState.WEIGHING: CycleState.BUILDING,
    CycleState.BUILDING: CycleState.TRAINING,
    CycleState.TRAINING: CycleState.EVALUATING,
    CycleState.EVALUATING: CycleState.GATING,
    CycleState.GATING: CycleState.PUBLISHING,
    CycleState.PUBLISHING: CycleState.EXPERIMENTING,
    CycleState.EXPERIMENTING: CycleState.PROMOTING,
    CycleState.PROMOTING: CycleState.DONE,
}


_STAGED = frozenset({CycleState.EXPERIMENTING, CycleState.PROMOTING, CycleState.DONE})


@dataclass(frozen=True, kw_only=True)
class CycleOptions:
    """What an operator may ask of one cycle.

    Attributes:
        disabled_cleaners: Cleaners of the dataset builder to leave out (to try the gates).
        adapter_id: Only publish this adapter and try it; empty trains a new one.
    """

    disabled_cleaners: tuple[str, ...] = ()
    adapter_id: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "CycleOptions":
        """Reads the JSON stored in the database."""
        return cls(
            disabled_cleaners=tuple(row.get("disabled_cleaners", ())),
            adapter_id=str(row.get("adapter_id", "")),
        )


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One retraining cycle.

    Attributes:
        version: Compare-and-set guard: a step commits only on the version it read.
        context: What earlier steps produced (ids and paths), as JSON.
        gate: The gate that stopped it, when one did.
    """

    id: str
    state: CycleState
    version: int
    trigger: str
    requested_by: str
    options: CycleOptions = field(default_factory=CycleOptions)
    context: Mapping[str, Any] = field(default_factory=dict)
    outcome: CycleOutcome | None = None
    gate: str | None = None
    reason: str | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None

    @property
    def at_work(self) -> bool:
        """Whether it still makes its adapter; what comes after is the experiment's business."""
        return self.ended_at is None and self.state not in _STAGED


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What one step decided.

    Attributes:
        wait: The step is not finished: look again at the next tick.
        context: Merged into the cycle's context.
        outcome: Ends the cycle.
    """

    reason: str
    wait: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    outcome: CycleOutcome | None = None
    gate: str | None = None


def next_state(state: CycleState, result: StepResult) -> CycleState:
    """Returns where a cycle goes after a step.

    Raises:
        ConflictError: When the cycle is already over.
    """
    if state is CycleState.DONE:
        raise ConflictError("the cycle is over; request a new one")
    if result.outcome is not None:
        return CycleState.DONE
    return state if result.wait else _NEXT[state]
