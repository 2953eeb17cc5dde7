"""An experiment: ramp, evidence against its thresholds, counts per arm, and what it waits for."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from feedback.domain.operating import READY
from feedback.domain.outlook import Outlook
from feedback.domain.trial import (
    HOLDBACK,
    Approval,
    Look,
    Part,
    Trial,
    TrialStage,
    Verdict,
    stage_words,
)
from feedback.web.charts import Chart
from feedback.web.trial_charts import evidence_bars, evidence_history, ramp_steps
from feedback.web.words import moment, plain

_CHANNELS = {
    "primary": "better",
    "pairs": "better, by blind votes",
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
_THEN = {
    "primary": "it is promoted, if no gate is closed",
    "pairs": "it counts for half of the evidence",
    "harm": "it ends at once",
    "harm_fast": "it ends at once",
    "futility": "it ends, from day 7 on",
    "srm": "it ends as invalid, and traffic freezes",
    _GUARDRAILS: "it ends at once",
}
_HELD_BACK = "the previous champion comes back"
_HISTORY = 200
"""Looks drawn at most: more cannot be told apart."""
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
    """One channel of evidence.

    Attributes:
        then: What happens when it reaches its threshold.
    """

    name: str
    e: float
    threshold: float | None
    then: str = ""

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
        stands: Where it is, in words.
        history_chart: Evidence over time; None before the second look.
        outlook: What stands before a promotion, with the dates to expect; None after the end.
        holdback_until: When the watch over a promoted champion ends; None elsewhere.
        paused_at: Since when no new thread joins it; None while it goes on.
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
    stands: str
    history_chart: Chart | None
    outlook: Outlook | None
    holdback_until: datetime | None
    paused_at: datetime | None
    paused_by: str


def experiment_view(
    trial: Trial,
    stages: Sequence[TrialStage],
    now: datetime,
    *,
    looks: Sequence[Look] = (),
    outlook: Outlook | None = None,
) -> ExperimentView:
    """Returns the view of an experiment.

    Args:
        trial: The stored experiment with its last evidence.
        stages: The stages that came into force, in order.
        now: Of the record's clock.
        looks: What was found look by look, oldest first.
        outlook: On its promotion, while it runs.
    """
    row = trial.evidence or {}
    plan = row.get("plan", {})
    watched = trial.part is Part.HOLDBACK
    shown = row.get("holdback", row) if watched else row
    evidence = _evidence(shown.get("evidence", {}), plan.get("thresholds", {}), watched=watched)
    until = trial.ended_at or now
    timeout = plan.get("timeout_days") if trial.ended_at is None and not watched else None
    days = plan.get("holdback_days") if trial.ended_at is None and watched else None
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
        counts=_counts(shown.get("counts", {})),
        excluded=int(shown.get("counts", {}).get("excluded", 0)),
        response=_response(shown.get("counts", {})),
        lift=_lift(shown.get("evidence", {})),
        latest_end=trial.started_at + timedelta(days=timeout) if timeout else None,
        stands=stage_words(trial) if trial.ended_at is None else plain(trial.state.lower()),
        history_chart=_history(
            [look for look in looks if look.part is trial.part], plan.get("thresholds", {})
        ),
        outlook=outlook,
        holdback_until=(trial.joined_from or now) + timedelta(days=days) if days else None,
        paused_at=trial.paused_at,
        paused_by=trial.paused_by,
    )


@dataclass(frozen=True, kw_only=True)
class ApprovalView:
    """A promotion that waits for a person, or just got its answer.

    Attributes:
        asks: Whether it can still be decided.
        told: Who said what, or until when somebody has to.
    """

    version: int
    asks: bool
    told: str


def approval_view(trial: Trial, approval: Approval | None, now: datetime) -> ApprovalView | None:
    """Returns the promotion that waits for a person; None when none does."""
    if approval is None or trial.state != READY:
        return None
    until = moment(approval.expires_at)
    if approval.verdict is not None:
        granted = approval.verdict is Verdict.GRANTED
        when = "As soon as it is resumed" if granted and trial.paused_at else "At the next look"
        then = "the challenger becomes the champion" if granted else "the experiment ends"
        said = f"{'Approved' if granted else 'Denied'} by {approval.decided_by}: {approval.reason}"
        told = f"{said}. {when} {then}."
    elif now >= approval.expires_at:
        told = f"Nobody said so until {until}; the test goes on."
    else:
        told = (
            f"Somebody has to say so until {until}. The test goes on meanwhile, and ends it by "
            "itself if the challenger turns out worse."
        )
    asks = approval.verdict is None and now < approval.expires_at
    return ApprovalView(version=approval.version, asks=asks, told=told)


def decision_tone(decision: str) -> str:
    """Returns how a decision is coloured."""
    if decision in {"PROMOTE", "CHAMPION", "PROMOTED_BY_HAND"}:
        return "good"
    if decision.startswith(("REJECTED", "FREEZE", "INVALID")):
        return "bad"
    return "wait" if decision.startswith("HOLD") else "quiet"


def _evidence(
    row: Mapping[str, Any], thresholds: Mapping[str, float], *, watched: bool
) -> tuple[EvidenceView, ...]:
    """Nobody is promoted while a promotion is watched, and nobody votes before anybody voted."""
    names = [name for name in _CHANNELS if name in row]
    if watched:
        names = [name for name in names if name not in {"primary", "pairs", "futility"}]
    elif row.get("pairs") == 1.0:
        names.remove("pairs")
    channels = [
        EvidenceView(
            name=_CHANNELS[name],
            e=float(row[name]),
            threshold=thresholds.get(name),
            then=_HELD_BACK if watched else _THEN[name],
        )
        for name in names
    ]
    guards = [
        EvidenceView(
            name=f"more {_BAD.get(metric, plain(metric))}",
            e=float(e),
            threshold=thresholds.get(_GUARDRAILS),
            then=_HELD_BACK if watched else _THEN[_GUARDRAILS],
        )
        for metric, e in row.get(_GUARDRAILS, {}).items()
    ]
    return (*channels, *guards)


def _history(looks: Sequence[Look], thresholds: Mapping[str, float]) -> Chart | None:
    """Draws how near each kind of evidence came to deciding."""
    if len(looks) < 2 or not thresholds:
        return None
    step = max(1, len(looks) // _HISTORY)
    kept = [*looks[:-1:step], looks[-1]]
    rows = [
        (what, look.at.isoformat(), way(look.logs, thresholds))
        for what, way in _WAYS.items()
        for look in kept
    ]
    return evidence_history(rows)


def _way(*names: str) -> Callable[[Mapping[str, Any], Mapping[str, float]], float]:
    def way(logs: Mapping[str, Any], thresholds: Mapping[str, float]) -> float:
        parts = [
            float(logs[name]) / math.log(thresholds[name])
            for name in names
            if name in logs and name in thresholds
        ]
        return max(parts, default=0.0)

    return way


def _guard_way(logs: Mapping[str, Any], thresholds: Mapping[str, float]) -> float:
    limit = thresholds.get(_GUARDRAILS)
    values = [float(value) for value in logs.get(_GUARDRAILS, {}).values()]
    return max(values, default=0.0) / math.log(limit) if limit else 0.0


_WAYS = {
    "better": _way("primary"),
    "worse": _way("harm", "harm_fast"),
    "no lift worth finding": _way("futility"),
    "more bad answers": _guard_way,
}


def _stages(
    trial: Trial, passed: Sequence[TrialStage], ramp: Sequence[Mapping[str, Any]]
) -> tuple[StageView, ...]:
    entered = {stage.stage: stage for stage in passed}
    planned = [*ramp] or [{"stage": stage.stage, "share": stage.share} for stage in passed]
    names = {stage["stage"] for stage in planned}
    planned += [{"stage": s.stage, "share": s.share} for s in passed if s.stage not in names]
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
    if stage["stage"] == HOLDBACK:
        return "until it is quiet for long enough"
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
