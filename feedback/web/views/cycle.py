"""A cycle as a row of steps: which are done, which one it is at, and where it stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.domain.audit import AuditEntry
from feedback.domain.cycle import Cycle, CycleOutcome, CycleState
from feedback.domain.learning import DatasetVersion
from feedback.web.charts import Chart, duel, named_bars
from feedback.web.words import plain

STEPS = tuple(state for state in CycleState if state is not CycleState.DONE)
_SHORT = {CycleState.EXPERIMENTING: "experiment"}


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step of a cycle.

    Attributes:
        status: `done`, `now`, `ended` (it ended the cycle) or `todo`.
        seconds: How long it took; None while it has not ended.
        reason: What it said when it ended.
    """

    name: str
    status: str
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class GateView:
    """One gate of the table."""

    gate: str
    status: str
    champion: float | None
    challenger: float | None
    n: int
    gained: int
    lost: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class GatesView:
    """All gates of a candidate."""

    passed: bool
    headline: str
    rows: tuple[GateView, ...]
    chart: Chart | None


@dataclass(frozen=True, kw_only=True)
class DatasetView:
    """A dataset version in numbers.

    Attributes:
        counts: Names and numbers, in the order they are told.
        disabled: Cleaners that were left out.
        rejections: Chart of rejected rows by reason; None when nothing was rejected.
    """

    id: str
    labels: int
    required: int | None
    counts: tuple[tuple[str, int], ...]
    holdout_share: float | None
    disabled: tuple[str, ...]
    rejections: Chart | None


def steps_of(cycle: Cycle, entries: Sequence[AuditEntry]) -> tuple[StepView, ...]:
    """Returns the steps of a cycle.

    Args:
        cycle: The cycle.
        entries: Its audit entries, in any order.
    """
    ordered = sorted(entries, key=lambda entry: entry.id)
    began = _began(cycle, ordered)
    ended = {entry.from_state: entry for entry in ordered if entry.from_state}
    last = next((e.from_state for e in reversed(ordered) if e.to_state == CycleState.DONE), None)
    return tuple(_step(state, cycle, began, ended, last) for state in STEPS)


def gates_view(row: Mapping[str, Any]) -> GatesView:
    """Returns the view of a stored gate report."""
    rows = tuple(
        GateView(
            gate=plain(item["gate"]),
            status=str(item["status"]),
            champion=item.get("champion"),
            challenger=item.get("challenger"),
            n=int(item.get("n", 0)),
            gained=int(item.get("gained", 0)),
            lost=int(item.get("lost", 0)),
            reason=str(item.get("reason", "")),
        )
        for item in row.get("results", ())
    )
    measured = [(gate.gate, gate.champion, gate.challenger) for gate in rows if gate.n]
    return GatesView(
        passed=bool(row.get("passed")),
        headline=str(row.get("headline", "")),
        rows=rows,
        chart=duel(measured) if measured else None,
    )


def dataset_view(version: DatasetVersion) -> DatasetView:
    """Returns a dataset version in numbers; parts its manifest lacks are left out."""
    manifest = version.manifest
    counts = manifest.get("counts", {})
    rejected = sorted(
        manifest.get("rejected_by_reason", {}).items(), key=lambda item: (-item[1], item[0])
    )
    names = {
        "records": "records read",
        "labelled": "with a label",
        "train": "to train on",
        "replay": "of generic skills, rehearsed",
        "holdout": "held out",
        "rejected": "rejected",
        "held": "held for people",
    }
    return DatasetView(
        id=version.id,
        labels=version.labels,
        required=manifest.get("labels", {}).get("required"),
        counts=tuple((told, int(counts[name])) for name, told in names.items() if name in counts),
        holdout_share=manifest.get("split", {}).get("holdout_share"),
        disabled=tuple(manifest.get("cleaners", {}).get("disabled", ())),
        rejections=named_bars(
            "Rejected rows by reason",
            [(plain(reason), int(count)) for reason, count in rejected],
            unit="rows",
        )
        if rejected
        else None,
    )


def outcome_tone(outcome: CycleOutcome | None) -> str:
    """Returns how an outcome is coloured: `good`, `bad`, `wait` or `quiet`."""
    tones = {
        CycleOutcome.PROMOTED: "good",
        CycleOutcome.STOPPED: "bad",
        CycleOutcome.FAILED: "bad",
        CycleOutcome.ENDED: "wait",
        CycleOutcome.NOT_NEEDED: "quiet",
    }
    return tones[outcome] if outcome is not None else "now"


def _began(cycle: Cycle, ordered: Sequence[AuditEntry]) -> Mapping[str, datetime]:
    began = {CycleState.MINING.value: cycle.started_at}
    return began | {entry.to_state: entry.at for entry in ordered}


def _step(
    state: CycleState,
    cycle: Cycle,
    began: Mapping[str, datetime],
    ended: Mapping[str, AuditEntry],
    last: str | None,
) -> StepView:
    entry = ended.get(state)
    if entry is None:
        return StepView(
            name=_SHORT.get(state, plain(state)), status="now" if state is cycle.state else "todo"
        )
    stopped = state == last and cycle.outcome is not CycleOutcome.PROMOTED
    start = began.get(state)
    return StepView(
        name=_SHORT.get(state, plain(state)),
        status="ended" if stopped else "done",
        seconds=(entry.at - start).total_seconds() if start is not None else None,
        reason=entry.reason,
    )
