"""Why (not) this week: every gate before a training and before a promotion, with what is missing.

Pure: facts in, one report out. Slack, the command line and the web page show the same one. It
speaks of counts only; which arm answered a thread is in no sentence of it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from feedback.domain.cycle import Cycle
from feedback.domain.outlook import (
    RATE_DAYS,
    Gate,
    GateState,
    Outlook,
    after,
    closed_names,
    countable,
    counted,
    describe_gate,
    latest,
    note,
    outlook_row,
)
from feedback.domain.pattern import Pattern
from feedback.domain.trial import HOLDBACK, Trial, stage_words
from feedback.domain.weighing import cheaper_fixes, weigh

_MARKS = {GateState.OPEN: "ok", GateState.CLOSED: "no", GateState.NOTE: " i"}


@dataclass(frozen=True, kw_only=True)
class WhyReport:
    """Why (not) this week.

    Attributes:
        promotions: One for each experiment on stage; one that says so when there is none.
    """

    at: datetime
    training: Outlook
    promotions: tuple[Outlook, ...]

    @property
    def outlooks(self) -> tuple[Outlook, ...]:
        """All of them, the training first."""
        return self.training, *self.promotions

    def to_row(self) -> dict[str, Any]:
        """Returns JSON: the same words, moments in ISO 8601."""
        return {
            "at": self.at.isoformat(),
            "training": outlook_row(self.training),
            "promotions": [outlook_row(outlook) for outlook in self.promotions],
        }

    def lines(self) -> Iterator[str]:
        """Yields the report as plain text."""
        for outlook in self.outlooks:
            yield f"{outlook.title}: {outlook.headline}"
            for gate in outlook.gates:
                yield f"  [{_MARKS[gate.state]}] {gate.gate}: {describe_gate(gate)}"
            if outlook.closed:
                when = f"{outlook.expected:%Y-%m-%d}" if outlook.expected else "nobody can tell yet"
                yield f"  Expected: {when}"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a training needs; see `feedback.domain.weighing.WeighingPolicy`.

    Attributes:
        challengers: How many cycles may be open: each has a challenger, on stage or to come.
    """

    label_gate: int
    min_fine_tune_failures: int
    untried_share: float = 0.2
    instructed: bool = False
    challengers: int = 1


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The brake is pulled."""

    by: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class LearningFacts:
    """What is known about the next training.

    Attributes:
        labels: Approved corrections that may train.
        labels_lately: Of these, approved within the last `RATE_DAYS`.
        waiting: Proposed corrections that wait for a reviewer.
        clean: Distinct, clean labels of the newest dataset; None before the first.
        failures_lately: Failures of the last `RATE_DAYS` in patterns that training would mend.
        open_cycles: Those that are not over, oldest first.
        next_cycle_at: When the schedule starts the next cycle.
    """

    thresholds: Thresholds
    labels: int
    labels_lately: int
    waiting: int
    clean: int | None
    patterns: Sequence[Pattern]
    failures_lately: int
    open_cycles: Sequence[Cycle]
    last_cycle: Cycle | None
    next_cycle_at: datetime | None
    frozen: Frozen | None


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


def why(learning: LearningFacts, newest: Sequence[TrialFacts], now: datetime) -> WhyReport:
    """Returns the report.

    Args:
        learning: About the next training.
        newest: About the experiments that run, else about the last one; empty when there never
            was one.
        now: Of the record's clock.
    """
    trials: Sequence[TrialFacts | None] = newest or (None,)
    return WhyReport(
        at=now,
        training=_training(learning, now),
        promotions=tuple(promotion(learning.frozen, facts, now) for facts in trials),
    )


def _training(facts: LearningFacts, now: datetime) -> Outlook:
    gates = (
        _labels(facts, now),
        _patterns(facts, now),
        _cheaper(facts),
        _running(facts),
        *_training_notes(facts),
    )
    closed = [gate for gate in gates if gate.closed]
    expected = latest(closed, now)
    if expected is not None and facts.next_cycle_at is not None:
        expected = max(expected, facts.next_cycle_at)
    if (cycle := _in_the_way(facts)) is not None:
        headline = f"A cycle is at work ({cycle.state}); the next one comes after it."
    elif closed:
        headline = f"No training yet: {closed_names(closed)}."
    else:
        headline = "Nothing stands in the way of a training."
    return Outlook(title="Training", headline=headline, gates=gates, expected=expected)


def _labels(facts: LearningFacts, now: datetime) -> Gate:
    needed = facts.thresholds.label_gate
    parts = [f"{facts.labels:,} of {needed:,} approved corrections"]
    if facts.waiting:
        parts.append(f"{facts.waiting:,} wait for a reviewer")
    if facts.clean is not None:
        parts.append(f"{facts.clean:,} were distinct and clean in the newest data set")
    return countable(
        "labels",
        "; ".join(parts),
        missing=max(0, needed - facts.labels),
        unit="approved corrections",
        lately=facts.labels_lately,
        now=now,
    )


def _patterns(facts: LearningFacts, now: datetime) -> Gate:
    weighing = weigh(facts.patterns, facts.labels, facts.thresholds)
    return countable(
        "patterns",
        f"{weighing.fine_tune_failures:,} of {facts.thresholds.min_fine_tune_failures:,} failures "
        "in patterns that training would mend",
        missing=weighing.failures_missing,
        unit="failures",
        lately=facts.failures_lately,
        now=now,
    )


def _cheaper(facts: LearningFacts) -> Gate:
    weighing = weigh(facts.patterns, facts.labels, facts.thresholds)
    untried = cheaper_fixes(facts.patterns, facts.thresholds)
    untried.sort(key=lambda pattern: -pattern.size)
    if not untried:
        reason = "no pattern waits for a document or an instruction"
        return Gate(gate="cheaper fixes", state=GateState.OPEN, reason=reason)
    names = "; ".join(f"{p.label or p.id} ({p.verdict}, {p.size})" for p in untried[:3])
    closed = weighing.untried > weighing.untried_limit
    return Gate(
        gate="cheaper fixes",
        state=GateState.CLOSED if closed else GateState.OPEN,
        reason=f"{_patterns_said(len(untried))} with {weighing.untried:,} failures could do with "
        f"a document or an instruction, and nobody has accepted or rejected it; "
        f"{weighing.untried_limit:,} failures may wait so: {names}",
    )


def _patterns_said(count: int) -> str:
    return f"{count} pattern" if count == 1 else f"{count} patterns"


def _in_the_way(facts: LearningFacts) -> Cycle | None:
    """Returns the cycle that has to end, or to go on stage, before the next one begins."""
    at_work = next((cycle for cycle in facts.open_cycles if cycle.at_work), None)
    full = len(facts.open_cycles) >= facts.thresholds.challengers
    return at_work or (facts.open_cycles[0] if full else None)


def _running(facts: LearningFacts) -> Gate:
    cycle, places = _in_the_way(facts), facts.thresholds.challengers
    taken = f"{len(facts.open_cycles)} of {places} places for challengers are taken"
    if cycle is None:
        reason = "no cycle is at work" + (f", {taken}" if facts.open_cycles else "")
        return Gate(gate="running cycle", state=GateState.OPEN, reason=reason)
    why_not = "there is one cycle at a time" if cycle.at_work or places == 1 else taken
    return Gate(
        gate="running cycle",
        state=GateState.CLOSED,
        reason=f"{cycle.id} has been at work since {cycle.started_at:%Y-%m-%d} and is in "
        f"{cycle.state}; {why_not}",
    )


def _training_notes(facts: LearningFacts) -> Iterator[Gate]:
    if facts.frozen is not None:
        yield note("frozen", "a cycle may train, but its candidate meets nobody while frozen")
    last = facts.last_cycle
    if last is not None and last.outcome is not None:
        outcome = last.outcome.replace("_", " ")
        yield note("last cycle", f"{last.id} ended as {outcome}: {last.reason or 'no reason'}")
    if facts.next_cycle_at is not None:
        yield note("schedule", f"the next cycle is due on {facts.next_cycle_at:%Y-%m-%d %H:%M} UTC")


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
        f"{trial.stage}, {trial.share:.0%} of new threads, day "
        f"{(now - trial.started_at).total_seconds() / 86400:.1f}",
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
