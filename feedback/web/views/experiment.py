"""An experiment: ramp, evidence against its thresholds, counts per arm, and what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from feedback.domain.trial import Trial, TrialStage
from feedback.web.charts import Chart, evidence_bars, ramp_steps
from feedback.web.words import plain

_CHANNELS = {
    "primary": "better",
    "harm": "worse, by outcomes",
    "harm_fast": "worse, by first ratings",
    "futility": "no lift worth finding",
    "srm": "split is broken",
}
_BAD = {
    "tone": "off brand",
    "ground": "ungrounded",
    "error": "failed",
    "slow": "slow",
    "undelivered": "undelivered",
}
_GUARDRAILS = "guardrails"
_COUNTS = {
    "assigned": "threads assigned",
    "delivered": "threads answered",
    "undelivered": "without an answer",
    "rated": "threads rated",
    "matured_rated": "rated and matured",
    "up": "thumbs up",
    "down": "thumbs down",
    "corrected": "corrected answers",
}


@dataclass(frozen=True, kw_only=True)
class StageView:
    """A planned or passed stage of the ramp.

    Attributes:
        status: `done`, `now` or `todo`.
        needs: What ends it.
    """

    name: str
    share: float
    status: str
    entered_at: datetime | None
    needs: str


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """One channel of evidence."""

    name: str
    e: float
    threshold: float | None

    @property
    def reached(self) -> bool:
        """Whether it has decided."""
        return self.threshold is not None and self.e >= self.threshold


@dataclass(frozen=True, kw_only=True)
class CountView:
    """One count for both arms."""

    name: str
    champion: int
    challenger: int


@dataclass(frozen=True, kw_only=True)
class ExperimentView:
    """One experiment for operators.

    Attributes:
        waiting: Gate and sentence for everything that stands before a promotion.
        response: Share of answered threads that were rated, champion and challenger; None while
            an arm has no answered thread.
        lift: Estimate and its bounds; None while nothing is ruled out.
        latest_end: When it times out at the latest; None without a plan or after the end.
    """

    id: str
    cycle_id: str
    challenger_id: str
    champion_id: str | None
    state: str
    stage: str
    share: float
    running: bool
    started_at: datetime
    ended_at: datetime | None
    days: float
    decision: str
    reason: str
    waiting: tuple[tuple[str, str], ...]
    stages: tuple[StageView, ...]
    evidence: tuple[EvidenceView, ...]
    evidence_chart: Chart | None
    ramp_chart: Chart | None
    counts: tuple[CountView, ...]
    excluded: int
    response: tuple[float, float] | None
    lift: tuple[float, float, float] | None
    latest_end: datetime | None


def experiment_view(trial: Trial, stages: Sequence[TrialStage], now: datetime) -> ExperimentView:
    """Returns the view of an experiment.

    Args:
        trial: The stored experiment with its last evidence.
        stages: The stages that came into force, in order.
        now: Of the record's clock.
    """
    row = trial.evidence or {}
    plan = row.get("plan", {})
    evidence = _evidence(row.get("evidence", {}), plan.get("thresholds", {}))
    until = trial.ended_at or now
    timeout = plan.get("timeout_days") if trial.ended_at is None else None
    return ExperimentView(
        id=trial.id,
        cycle_id=trial.cycle_id,
        challenger_id=trial.challenger_id,
        champion_id=trial.champion_id,
        state=trial.state,
        stage=trial.stage,
        share=trial.share,
        running=trial.ended_at is None,
        started_at=trial.started_at,
        ended_at=trial.ended_at,
        days=(until - trial.started_at).total_seconds() / 86400,
        decision=trial.decision or "NONE",
        reason=str(row.get("reason", "nothing has been looked at yet")),
        waiting=tuple(
            (plain(item["gate"]), str(item["reason"])) for item in row.get("waiting_for", ())
        ),
        stages=_stages(trial, stages, plan.get("ramp", ())),
        evidence=evidence,
        evidence_chart=evidence_bars([(e.name, e.e, e.threshold) for e in evidence])
        if evidence
        else None,
        ramp_chart=ramp_steps(
            [(stage.stage, stage.entered_at.isoformat(), stage.share) for stage in stages],
            until.isoformat(),
        )
        if stages
        else None,
        counts=_counts(row.get("counts", {})),
        excluded=int(row.get("counts", {}).get("excluded", 0)),
        response=_response(row.get("counts", {})),
        lift=_lift(row.get("evidence", {})),
        latest_end=trial.started_at + timedelta(days=timeout) if timeout else None,
    )


def decision_tone(decision: str) -> str:
    """Returns how a decision is coloured."""
    if decision in {"PROMOTE", "CHAMPION", "PROMOTED_BY_HAND"}:
        return "good"
    if decision.startswith(("REJECTED", "FREEZE", "INVALID")):
        return "bad"
    return "wait" if decision.startswith("HOLD") else "quiet"


def _evidence(row: Mapping[str, Any], thresholds: Mapping[str, float]) -> tuple[EvidenceView, ...]:
    channels = [
        EvidenceView(name=told, e=float(row[name]), threshold=thresholds.get(name))
        for name, told in _CHANNELS.items()
        if name in row
    ]
    guards = [
        EvidenceView(
            name=f"more {_BAD.get(metric, plain(metric))}",
            e=float(e),
            threshold=thresholds.get(_GUARDRAILS),
        )
        for metric, e in row.get(_GUARDRAILS, {}).items()
    ]
    return (*channels, *guards)


def _stages(
    trial: Trial, passed: Sequence[TrialStage], ramp: Sequence[Mapping[str, Any]]
) -> tuple[StageView, ...]:
    entered = {stage.stage: stage for stage in passed}
    planned = ramp or [{"stage": stage.stage, "share": stage.share} for stage in passed]
    return tuple(
        StageView(
            name=plain(str(stage["stage"]).lower()),
            share=float(stage["share"]),
            status=_stage_status(trial, str(stage["stage"]), entered),
            entered_at=entered[stage["stage"]].entered_at if stage["stage"] in entered else None,
            needs=_needs(stage),
        )
        for stage in planned
    )


def _stage_status(trial: Trial, name: str, entered: Mapping[str, TrialStage]) -> str:
    if name == trial.stage and trial.ended_at is None:
        return "now"
    return "done" if name in entered else "todo"


def _needs(stage: Mapping[str, Any]) -> str:
    parts = []
    if stage.get("min_threads"):
        parts.append(f"{stage['min_threads']} challenger threads")
    if stage.get("min_hours"):
        parts.append(f"{stage['min_hours']:g} h")
    return " and ".join(parts) or "until it is decided"


def _counts(row: Mapping[str, Any]) -> tuple[CountView, ...]:
    champion, challenger = row.get("champion", {}), row.get("challenger", {})
    return tuple(
        CountView(name=told, champion=int(champion[name]), challenger=int(challenger[name]))
        for name, told in _COUNTS.items()
        if name in champion and name in challenger
    )


def _response(row: Mapping[str, Any]) -> tuple[float, float] | None:
    arms = [row.get(arm, {}) for arm in ("champion", "challenger")]
    if not all(0 <= arm.get("rated", 0) <= arm.get("delivered", 0) > 0 for arm in arms):
        return None
    first, second = (arm.get("rated", 0) / arm["delivered"] for arm in arms)
    return first, second


def _lift(row: Mapping[str, Any]) -> tuple[float, float, float] | None:
    lift = row.get("lift")
    if not lift or (lift["low"] <= -1 and lift["high"] >= 1):
        return None
    return float(lift["estimate"]), float(lift["low"]), float(lift["high"])
