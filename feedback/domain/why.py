"""Why (not) this week: every gate before a training and before a promotion, with what is missing.

Pure: facts in, one report out. Slack, the command line and the web page show the same one. It
speaks of counts only; which arm answered a thread is in no sentence of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.domain.cycle import Cycle
from feedback.domain.outlook import (
    Gate,
    GateState,
    Outlook,
    closed_names,
    countable,
    describe_gate,
    latest,
    note,
    outlook_row,
)
from feedback.domain.pattern import Pattern
from feedback.domain.prospects import Frozen, TrialFacts, promotion
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
        if not cycle.at_work and facts.thresholds.challengers > 1:
            headline = "Every place on the stage is taken; the next cycle begins when one is free."
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
