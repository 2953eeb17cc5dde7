"""What stands before the promotion of a challenger, with what is missing and when to expect it.

Pure: facts in, an outlook out. It speaks of counts only; which arm answered a thread is in no
sentence of it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from feedback.domain.outlook import (
    RATE_DAYS,
    Gate,
    GateState,
    Outlook,
    after,
    closed_names,
    counted,
    latest,
    note,
)
from feedback.domain.trial import HOLDBACK, Trial, stage_words


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The brake is pulled."""

    by: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """What is known about an experiment.

    Attributes:
        lately: Threads of the last `RATE_DAYS` by `<arm>_<what>`, such as `champion_rated`.
        requested_by: Somebody asked for a promotion by hand that is not carried out yet.
        by_hand: Whether it may still be promoted by hand, in words; empty unless it ended
            undecided.
    """

    trial: Trial
    lately: Mapping[str, int]
    requested_by: str | None = None
    by_hand: str = ""


def promotion(frozen: Frozen | None, newest: TrialFacts | None, now: datetime) -> Outlook:
    """Returns what stands before the promotion of a challenger.

    Args:
        frozen: Who pulled the brake, while it is pulled.
        newest: About its experiment; None when there never was one.
        now: Of the record's clock.
    """
    if newest is None or newest.trial.ended_at is not None:
        return _nobody_on_stage(newest)
    if newest.trial.stage in {"", HOLDBACK}:
        return _off_stage(frozen, newest.trial)
    gates = tuple(_trial_gates(frozen, newest, now))
    closed = [gate for gate in gates if gate.closed]
    headline = (
        f"No promotion yet: {closed_names(closed)}."
        if closed
        else "Nothing stands in the way of a promotion; the next look decides."
    )
    return Outlook(
        title=_title(newest.trial), headline=headline, gates=gates, expected=latest(closed, now)
    )


def _title(trial: Trial) -> str:
    return f"Promotion of {trial.challenger_id}"


def _nobody_on_stage(newest: TrialFacts | None) -> Outlook:
    reason, notes = "no challenger has been on stage yet", []
    if newest is not None:
        trial = newest.trial
        reason = (
            f"no challenger is on stage; the experiment of {trial.challenger_id} ended on "
            f"{trial.ended_at:%Y-%m-%d} as {trial.decision or trial.state}"
        )
        if newest.requested_by is not None:
            notes = [_asked_by_hand(newest.requested_by)]
        elif newest.by_hand:
            notes = [note("by hand", newest.by_hand)]
    gates = (Gate(gate="experiment", state=GateState.CLOSED, reason=reason), *notes)
    headline = "No promotion: no experiment is running."
    return Outlook(title="Promotion", headline=headline, gates=gates, expected=None)


def _asked_by_hand(by: str) -> Gate:
    return note("by hand", f"{by} asked for a promotion; it waits for a look")


def _off_stage(frozen: Frozen | None, trial: Trial) -> Outlook:
    """An experiment before its first stage, or after its promotion."""
    row = trial.evidence or {}
    days = row.get("plan", {}).get("holdback_days")
    if trial.stage == HOLDBACK:
        since = trial.joined_from or trial.started_at
        until = since + timedelta(days=float(days)) if days else None
        gates = (note("holdback", f"{trial.challenger_id} is {stage_words(trial)}"),)
        headline = f"{trial.challenger_id} is the champion, and still watched."
        return Outlook(
            title=_title(trial),
            headline=headline,
            gates=(*gates, *_alarms(row.get("holdback", {}) | {"plan": row.get("plan", {})})),
            expected=until,
        )
    reason = str(row.get("reason") or stage_words(trial))
    gate = Gate(gate=trial.state.lower().replace("_", " "), state=GateState.CLOSED, reason=reason)
    brake = (_frozen_gate(frozen),) if frozen is not None else ()
    headline = f"No promotion yet: {trial.challenger_id} has met nobody."
    gates = (*brake, *_paused(trial), gate)
    return Outlook(title=_title(trial), headline=headline, gates=gates, expected=None)


def _frozen_gate(frozen: Frozen) -> Gate:
    return Gate(
        gate="frozen",
        state=GateState.CLOSED,
        reason=f"frozen since {frozen.since:%Y-%m-%d %H:%M} UTC: new threads meet no "
        "challenger, so nothing is learnt",
    )


def _paused(trial: Trial) -> Iterator[Gate]:
    if trial.paused_at is not None:
        yield Gate(
            gate="paused",
            state=GateState.CLOSED,
            reason=f"{trial.paused_by} paused it on {trial.paused_at:%Y-%m-%d %H:%M} UTC: no new "
            "thread joins, and what takes part still counts",
        )


def _trial_gates(frozen: Frozen | None, newest: TrialFacts, now: datetime) -> Iterator[Gate]:
    trial, row = newest.trial, newest.trial.evidence or {}
    if frozen is not None:
        yield _frozen_gate(frozen)
    yield from _paused(trial)
    if trial.state == "READY":
        yield Gate(
            gate="approval",
            state=GateState.CLOSED,
            reason="it is proven, and somebody has to approve the promotion",
        )
    waiting = {str(item["gate"]): item for item in row.get("waiting_for", ())}
    if not row:
        yield Gate(gate="evidence", state=GateState.CLOSED, reason="nothing has been looked at yet")
    else:
        yield _evidence(row, "evidence" in waiting, now)
    for name, item in waiting.items():
        if name != "evidence":
            yield _waiting_gate(name, item, newest, now)
    yield from _alarms(row)
    yield note(
        "stage",
        f"{stage_words(trial)}, day {(now - trial.started_at).total_seconds() / 86400:.1f}",
    )
    if newest.requested_by is not None:
        yield _asked_by_hand(newest.requested_by)
    timeout = row.get("plan", {}).get("timeout_days")
    if timeout:
        latest = trial.started_at + timedelta(days=float(timeout))
        yield note("time out", f"undecided, it ends from {latest:%Y-%m-%d} on")


def _evidence(row: Mapping[str, Any], closed: bool, now: datetime) -> Gate:
    threshold = float(row.get("plan", {}).get("thresholds", {}).get("primary", math.nan))
    log_e = float(row.get("evidence", {}).get("log", {}).get("primary", 0.0))
    day = float(row.get("day", 0.0))
    # An e-process that goes on winning grows by about the same factor every day.
    growth = log_e / day if day > 0 else 0.0
    left = math.log(threshold) - log_e if threshold > 0 else math.nan
    expected = after(now, left / growth) if closed and growth > 0 and left > 0 else None
    return Gate(
        gate="evidence",
        state=GateState.CLOSED if closed else GateState.OPEN,
        reason=f"evidence that the challenger is better is {_figure(math.exp(min(log_e, 690.0)))} "
        f"and must reach {_figure(threshold)}",
        expected=expected,
    )


def _waiting_gate(name: str, item: Mapping[str, Any], newest: TrialFacts, now: datetime) -> Gate:
    needs: Mapping[str, float] = item.get("needs") or {}
    gate = Gate(gate=name, state=GateState.CLOSED, reason=str(item["reason"]))
    if "days" in needs:
        days = float(needs["days"])
        return counted(gate, days, "days", None, after(now, days))
    if not needs:
        return gate
    if "scores" in needs:
        return counted(gate, float(needs["scores"]), "thread scores", None, None)
    slowest: tuple[float, str, float] | None = None
    for what, missing in needs.items():
        rate = newest.lately.get(what, 0) / RATE_DAYS
        days = missing / rate if rate else math.inf
        if slowest is None or days > slowest[0]:
            slowest = (days, what, rate)
    assert slowest is not None, "needs is not empty"
    days, what, rate = slowest
    unit = f"{what.replace('_', ' ')} threads"
    return counted(gate, float(needs[what]), unit, rate, after(now, days))


def _alarms(row: Mapping[str, Any]) -> Iterator[Gate]:
    """The channels that would end the experiment against the challenger."""
    evidence = row.get("evidence", {})
    thresholds = row.get("plan", {}).get("thresholds", {})
    channels = [("harm", evidence.get("harm"), thresholds.get("harm"))]
    channels += [
        (f"guardrail {name}", value, thresholds.get("guardrails"))
        for name, value in evidence.get("guardrails", {}).items()
    ]
    for name, value, limit in channels:
        if value is None or limit is None:
            continue
        tripped = value >= limit
        yield Gate(
            gate=name,
            state=GateState.CLOSED if tripped else GateState.OPEN,
            reason=f"evidence against the challenger is {_figure(value)}; {_figure(limit)} ends it",
        )


def _figure(value: float) -> str:
    return f"{value:.3g}"
