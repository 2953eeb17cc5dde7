"""A pattern: what goes wrong, how urgent it is, and what would mend it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from feedback.domain.pattern import FIXES, OFFERED, Pattern
from feedback.store.explanations import AnswerLine
from feedback.web.charts import Chart, counts_by_day
from feedback.web.words import plain


@dataclass(frozen=True, kw_only=True)
class PatternView:
    """One pattern in a list or on its page.

    Attributes:
        fix: The verdict as advice.
        trend: `rising`, `steady` or `falling`.
        actions: Decisions that make sense now.
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


@dataclass(frozen=True, kw_only=True)
class PatternDetail:
    """A pattern with its examples.

    Attributes:
        others: Member ids beyond the examples.
    """

    pattern: PatternView
    examples: tuple[AnswerLine, ...]
    evidence: tuple[AnswerLine, ...]
    others: int
    chart: Chart | None


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
    )


def pattern_detail(
    pattern: Pattern, lines: Sequence[AnswerLine], per_day: Mapping[date, int]
) -> PatternDetail:
    """Returns a pattern with examples and evidence.

    Args:
        pattern: The pattern.
        lines: The answers of its examples and evidence, in any order.
        per_day: When its members were asked.
    """
    known = {line.id: line for line in lines}
    examples = tuple(known[name] for name in pattern.example_ids if name in known)
    shown = {line.id for line in examples}
    days = [(day.isoformat(), count) for day, count in per_day.items()]
    return PatternDetail(
        pattern=pattern_view(pattern),
        examples=examples,
        evidence=tuple(
            known[name] for name in pattern.evidence_ids if name in known and name not in shown
        ),
        others=max(0, pattern.size - len(examples)),
        chart=counts_by_day("Failures by day", days) if len(days) > 1 else None,
    )


def _trend(ratio: float) -> str:
    if ratio >= 1.25:
        return "rising"
    return "falling" if ratio <= 0.8 else "steady"
