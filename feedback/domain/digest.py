"""The week in patterns: what repeats, where it is going, what was fixed and what that changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from feedback.domain.pattern import Pattern, PatternStatus, Verdict
from feedback.domain.tone import ToneWeek

WEEK = timedelta(days=7)
MEASURED = timedelta(days=28)
"""A fix is measured against as many days before it, and told of for as long after it."""

_QUIET = (PatternStatus.REJECTED, PatternStatus.RESOLVED)
_TOP = 5


@dataclass(frozen=True, kw_only=True)
class PatternCounts:
    """When a pattern's members were asked.

    Attributes:
        lately: Within the last week.
        before: Within the week before that.
        before_fix: Within `MEASURED` before its fix.
        since_fix: Since its fix.
    """

    pattern_id: str
    lately: int
    before: int
    before_fix: int
    since_fix: int


@dataclass(frozen=True, kw_only=True)
class Told:
    """A pattern of the week with its counts."""

    pattern: Pattern
    lately: int
    before: int


@dataclass(frozen=True, kw_only=True)
class FixEffect:
    """What a fix changed.

    Attributes:
        before: Failures a week in the weeks before it.
        since: Failures a week since; None while the fix is younger than a day.
    """

    pattern: Pattern
    at: datetime
    before: float
    since: float | None


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The week in patterns.

    Attributes:
        lately: Failures of the last week that belong to a pattern.
        before: The same of the week before.
        fresh: Patterns whose first failure is of this week.
        top: Most urgent first; rejected, resolved and held patterns are not among them.
        fixes: Newest first.
        tone: How much of what was answered is in the house voice, as the newest run saw it.
    """

    at: datetime
    lately: int
    before: int
    fresh: int
    top: tuple[Told, ...] = ()
    fixes: tuple[FixEffect, ...] = field(default=())
    tone: ToneWeek | None = None


def digest(
    patterns: Sequence[Pattern],
    counts: Mapping[str, PatternCounts],
    at: datetime,
    *,
    tone: ToneWeek | None = None,
) -> Digest:
    """Returns the digest of the week before `at`.

    Args:
        patterns: The current ones, most urgent first.
        counts: Theirs, by pattern id; a pattern without members left has none.
        at: The end of the week.
        tone: The newest run's on-brand rates.
    """
    told = [
        Told(pattern=p, lately=counts[p.id].lately, before=counts[p.id].before)
        for p in patterns
        if p.id in counts
    ]
    start = (at - WEEK).timestamp()
    fixes = [fix_effect(p, counts[p.id], at) for p in patterns if p.id in counts]
    return Digest(
        at=at,
        lately=sum(item.lately for item in told),
        before=sum(item.before for item in told),
        fresh=sum(start <= item.pattern.first_seen <= at.timestamp() for item in told),
        top=tuple(item for item in told if _concerns(item))[:_TOP],
        fixes=tuple(
            sorted(
                (fix for fix in fixes if fix is not None and at - fix.at <= MEASURED),
                key=lambda fix: fix.at,
                reverse=True,
            )
        ),
        tone=tone,
    )


def fix_effect(pattern: Pattern, counts: PatternCounts, now: datetime) -> FixEffect | None:
    """Returns what the fix of a pattern changed; None before it was made.

    A digest is drawn anew after each decision: a fix may be younger than the week it tells of.
    """
    at = pattern.resolved_at
    if at is None:
        return None
    # A pattern that is younger than the measured weeks is measured over its own life.
    age = timedelta(seconds=max(at.timestamp() - pattern.first_seen, 0.0))
    return FixEffect(
        pattern=pattern,
        at=at,
        before=counts.before_fix / (min(max(age, WEEK), MEASURED) / WEEK),
        since=counts.since_fix / ((now - at) / WEEK) if now - at >= timedelta(days=1) else None,
    )


def _concerns(told: Told) -> bool:
    pattern = told.pattern
    waits = pattern.status is PatternStatus.ACCEPTED
    return (
        (told.lately > 0 or waits)
        and pattern.status not in _QUIET
        and pattern.verdict is not Verdict.HOLD
    )
