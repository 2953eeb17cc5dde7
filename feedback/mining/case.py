"""One pattern as the rules of the verdict see it, and what they say of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from feedback.domain.pattern import PatternKind, PreviousPattern, Verdict
from feedback.mining.kinds import Failure
from feedback.ports import Vectors


@dataclass(frozen=True, kw_only=True)
class VerdictPolicy:
    """Thresholds of the rules.

    Attributes:
        min_failures: A pattern with fewer is held.
        min_people: A pattern that hit fewer distinct people is held.
        missing_score: A best retrieval score below this means that no document answers.
        out_of_scope_score: A best score below this means that the subject is not the bot's.
        majority: Share of the members that must show a sign.
        twin_cosine: Questions at least this alike ask the same.
        conflict_share: Share of corrected twins that contradict from which people must settle it.
        sample: At most this many members are compared pair by pair.
    """

    min_failures: int = 5
    min_people: int = 2
    missing_score: float = 0.45
    out_of_scope_score: float = 0.15
    majority: float = 0.5
    twin_cosine: float = 0.8
    conflict_share: float = 0.2
    sample: int = 200


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict with its reasons, the rows that show it, and a first draft of the fix.

    Attributes:
        mended: The record shows that the fix is made, so the pattern is resolved.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    evidence_ids: tuple[str, ...] = ()
    draft: str = ""
    mended: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """One pattern as the rules see it.

    Attributes:
        questions: Vectors of the members' questions, one row a failure.
        corrections: Vectors of their corrections (zero rows without one); None when unknown.
        previous: The same pattern in the run before, when it was there.
    """

    failures: Sequence[Failure]
    kind: PatternKind
    keywords: Sequence[str]
    questions: Vectors
    corrections: Vectors | None = None
    previous: PreviousPattern | None = None
    policy: VerdictPolicy = field(default_factory=VerdictPolicy)

    def share(self, holds: Callable[[Failure], bool]) -> float:
        """Returns the share of the members for which `holds` is true."""
        return sum(1 for failure in self.failures if holds(failure)) / len(self.failures)

    def ids(self, holds: Callable[[Failure], bool]) -> tuple[str, ...]:
        """Returns the ids of the members for which `holds` is true."""
        return tuple(failure.record.id for failure in self.failures if holds(failure))
