"""A pattern: what goes wrong, how urgent it is, and what would mend it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from feedback.domain.audit import AuditEntry
from feedback.domain.digest import FixEffect
from feedback.domain.pattern import FIXES, OFFERED, Pattern, PatternEvent, Signal
from feedback.store.explanations import AnswerLine
from feedback.web.charts import Chart, counts_by_day, named_bars
from feedback.web.words import plain

_COSTS = (
    ("Thumbs down", Signal.DOWN_VOTE),
    ("Hand-offs", Signal.HAND_OFF),
    ("Asked again", Signal.RE_ASKED),
)


@dataclass(frozen=True, kw_only=True)
class PatternView:
    """One pattern in a list or on its page.

    Attributes:
        fix: The verdict as advice.
        trend: `rising`, `steady` or `falling`.
        actions: Decisions that make sense now.
        costs: What people paid for it.
    """

    id: str
    label: str
    kind: str
    verdict: str
    fix: str
    reasons: tuple[str, ...]
    status: str
    size: int
    users: int
    score: float
    trend: str
    trend_ratio: float
    first_seen: datetime
    last_seen: datetime
    draft: str
    keywords: tuple[str, ...]
    actions: tuple[str, ...]
    costs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Happened:
    """One line of a pattern's history.

    Attributes:
        other_id: The pattern that was its origin, or that it went into.
    """

    at: datetime
    what: str
    other_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class PatternRecord:
    """What is stored about one pattern besides itself.

    Attributes:
        lines: The answers of its examples and evidence, in any order.
        per_day: When its members were asked.
        events: What runs did to it.
        decisions: Its entries of the audit trail.
        fix: What its fix changed.
    """

    lines: Sequence[AnswerLine]
    per_day: Mapping[date, int]
    events: Sequence[PatternEvent] = ()
    decisions: Sequence[AuditEntry] = ()
    fix: FixEffect | None = None


@dataclass(frozen=True, kw_only=True)
class PatternDetail:
    """A pattern with its examples.

    Attributes:
        others: Member ids beyond the examples.
        signals: What shows the failures, most frequent first.
        history: What runs and people did to it, oldest first.
        fix: What its fix changed; None before there was one.
    """

    pattern: PatternView
    examples: tuple[AnswerLine, ...]
    evidence: tuple[AnswerLine, ...]
    others: int
    chart: Chart | None
    signals: Chart | None
    history: tuple[Happened, ...]
    fix: FixEffect | None


def pattern_view(pattern: Pattern) -> PatternView:
    """Returns the view of one pattern."""
    return PatternView(
        id=pattern.id,
        label=pattern.label or ", ".join(pattern.keywords[:3]) or pattern.id,
        kind=plain(pattern.kind),
        verdict=plain(pattern.verdict),
        fix=FIXES[pattern.verdict],
        reasons=pattern.verdict_reasons,
        status=pattern.status,
        size=pattern.size,
        users=pattern.users,
        score=pattern.score,
        trend=_trend(pattern.trend),
        trend_ratio=pattern.trend,
        first_seen=datetime.fromtimestamp(pattern.first_seen, UTC),
        last_seen=datetime.fromtimestamp(pattern.last_seen, UTC),
        draft=pattern.draft,
        keywords=pattern.keywords,
        actions=tuple(OFFERED[pattern.status]),
        costs=tuple((name, pattern.signals.get(signal, 0)) for name, signal in _COSTS),
    )


def pattern_detail(pattern: Pattern, record: PatternRecord) -> PatternDetail:
    """Returns a pattern with everything that is stored about it."""
    known = {line.id: line for line in record.lines}
    examples = tuple(known[name] for name in pattern.example_ids if name in known)
    shown = {line.id for line in examples}
    days = [(day.isoformat(), count) for day, count in record.per_day.items()]
    signals = sorted(pattern.signals.items(), key=lambda item: (-item[1], item[0]))
    return PatternDetail(
        pattern=pattern_view(pattern),
        examples=examples,
        evidence=tuple(
            known[name] for name in pattern.evidence_ids if name in known and name not in shown
        ),
        others=max(0, pattern.size - len(examples)),
        chart=counts_by_day("Failures by day", days) if len(days) > 1 else None,
        signals=named_bars(
            "What shows it", [(plain(name), count) for name, count in signals], unit="failures"
        )
        if signals
        else None,
        history=tuple(
            sorted(
                [
                    *(_happened(event, pattern.id) for event in record.events),
                    *(
                        Happened(at=entry.at, what=f"{plain(entry.to_state)} by {entry.actor}")
                        for entry in record.decisions
                    ),
                ],
                key=lambda item: item.at,
            )
        ),
        fix=record.fix,
    )


_HERE = {
    "new": "first found",
    "returned": "came back",
    "split": "split off from",
    "merged": "went into",
    "gone": "no longer found",
}
_THERE = {"split": "a part split off:", "merged": "took over"}


def _happened(event: PatternEvent, here: str) -> Happened:
    """Words one event from the side of the pattern `here`."""
    if event.pattern_id == here:
        return Happened(at=event.at, what=_HERE[event.change], other_id=event.other_id)
    return Happened(at=event.at, what=_THERE[event.change], other_id=event.pattern_id)


def _trend(ratio: float) -> str:
    if ratio >= 1.25:
        return "rising"
    return "falling" if ratio <= 0.8 else "steady"
