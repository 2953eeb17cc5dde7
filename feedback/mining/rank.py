"""Which pattern first: people hit, failure rate that is certain, severity, freshness."""

import math
from dataclasses import dataclass, field

from feedback.domain.interaction import InteractionRecord
from feedback.domain.pattern import PatternKind

_UNKNOWN_USER = "unknown"
_DAY_S = 86_400.0


def _severity() -> dict[PatternKind, float]:
    return {
        PatternKind.REPEATED_ERROR: 3.0,
        PatternKind.STALE_KNOWLEDGE: 3.0,
        PatternKind.MISUNDERSTANDING: 3.0,
        PatternKind.MISSING_KNOWLEDGE: 2.0,
        PatternKind.REFUSAL: 2.0,
        PatternKind.TONE: 1.0,
        PatternKind.INJECTION_ATTEMPT: 1.0,
    }


@dataclass(frozen=True, kw_only=True)
class RankPolicy:
    """Constants of the priority.

    Attributes:
        half_life_days: Days after which a silent pattern is worth half.
        severity: Weight of each kind.
    """

    half_life_days: float = 14.0
    severity: dict[PatternKind, float] = field(default_factory=_severity)


def wilson_low(failures: int, answers: int, *, z: float = 1.96) -> float:
    """Lower bound of the 95 % Wilson interval of `failures / answers`; 0 without answers."""
    if answers <= 0:
        return 0.0
    rate = failures / answers
    centre = rate + z * z / (2 * answers)
    margin = z * math.sqrt(rate * (1 - rate) / answers + z * z / (4 * answers * answers))
    return max((centre - margin) / (1 + z * z / answers), 0.0)


def distinct_people(records: list[InteractionRecord]) -> int:
    """Counts the people in `records`; rows that name nobody count by thread."""
    return len(
        {
            ("user", record.user_id)
            if record.user_id != _UNKNOWN_USER
            else ("thread", record.thread_id)
            for record in records
        }
    )


def priority(
    kind: PatternKind, *, people: int, failures: int, answers: int, age_s: float, policy: RankPolicy
) -> float:
    """Returns `people * wilson_low(failures, answers) * severity * 2^(-age / half life)`.

    Each person counts once, so that one loud person cannot raise a pattern.

    Args:
        kind: Decides the severity.
        people: Distinct people hit.
        failures: Failures in the pattern.
        answers: All answers to such questions, the failures among them.
        age_s: Seconds since the newest failure.
        policy: Constants.
    """
    freshness = math.pow(2.0, -max(age_s, 0.0) / _DAY_S / policy.half_life_days)
    return people * wilson_low(failures, answers) * policy.severity[kind] * freshness


def trend(moments: list[float]) -> float:
    """Returns failures in the newer half of the time span over those in the older half."""
    middle = (min(moments) + max(moments)) / 2
    older = sum(1 for moment in moments if moment < middle)
    newer = len(moments) - older
    return newer / older if older else 1.0
