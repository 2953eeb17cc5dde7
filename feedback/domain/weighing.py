"""Is an adapter the right answer now? The one rule of the cycle's step and of "why (not)"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from feedback.domain.pattern import Pattern, PatternKind, PatternStatus, Verdict

_UNDECIDED = (PatternStatus.OPEN, PatternStatus.REGRESSION)


class WeighingPolicy(Protocol):
    """The thresholds of `feedback.settings.RetrainSettings`."""

    @property
    def label_gate(self) -> int:
        """Approved corrections needed."""
        ...

    @property
    def min_fine_tune_failures(self) -> int:
        """Failures that training would mend, needed."""
        ...

    @property
    def untried_share(self) -> float:
        """Share of the failures that may wait for a cheaper fix, 0..1."""
        ...

    @property
    def instructed(self) -> bool:
        """Whether the base follows instructions, so that a prompt can be a fix."""
        ...


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """Whether to train, and every reason against it.

    Attributes:
        labels_missing: Approved corrections still needed.
        failures_missing: Failures that training would mend, still needed.
        untried: Failures that wait for a document or an instruction nobody has tried or refused.
        untried_limit: As many of them may wait.
    """

    train: bool
    reasons: tuple[str, ...]
    fine_tune_failures: int
    labels_missing: int
    failures_missing: int
    untried: int
    untried_limit: int


def weigh(patterns: Sequence[Pattern], labels: int, policy: WeighingPolicy) -> Weighing:
    """Compares what was mined with the thresholds.

    Args:
        patterns: The current patterns.
        labels: Approved corrections that may train.
        policy: The thresholds.
    """
    failures = sum(pattern.size for pattern in mended_by_training(patterns, policy))
    labels_missing = max(0, policy.label_gate - labels)
    failures_missing = max(0, policy.min_fine_tune_failures - failures)
    untried = sum(pattern.size for pattern in cheaper_fixes(patterns, policy))
    untried_limit = int(policy.untried_share * (untried + failures))
    reasons = []
    if labels_missing:
        reasons.append(
            f"{labels} of {policy.label_gate} approved corrections: {labels_missing} are missing"
        )
    if failures_missing:
        reasons.append(
            f"{failures} failures in patterns that training would mend, "
            f"{policy.min_fine_tune_failures} are needed"
        )
    if untried > untried_limit:
        reasons.append(
            f"{untried} failures wait for a document or an instruction that nobody has accepted "
            f"or rejected, {untried_limit} may; cheaper fixes come first"
        )
    return Weighing(
        train=not reasons,
        reasons=tuple(reasons),
        fine_tune_failures=failures,
        labels_missing=labels_missing,
        failures_missing=failures_missing,
        untried=untried,
        untried_limit=untried_limit,
    )


def mended_by_training(patterns: Sequence[Pattern], policy: WeighingPolicy) -> list[Pattern]:
    """Returns the patterns that speak for an adapter: fine-tune, and tone.

    A tone pattern does not while people must settle it or an instruction could be tried first.
    """
    return [
        pattern
        for pattern in patterns
        if pattern.status is not PatternStatus.REJECTED
        and (
            pattern.verdict is Verdict.FINE_TUNE
            or (
                pattern.kind is PatternKind.TONE
                and pattern.verdict is not Verdict.PEOPLE
                and not _untried(pattern, policy)
            )
        )
    ]


def cheaper_fixes(patterns: Sequence[Pattern], policy: WeighingPolicy) -> list[Pattern]:
    """Returns the patterns that a document or an instruction would mend, if somebody tried it."""
    return [pattern for pattern in patterns if _untried(pattern, policy)]


def _untried(pattern: Pattern, policy: WeighingPolicy) -> bool:
    possible = pattern.verdict is Verdict.DOCUMENT or (
        pattern.verdict is Verdict.PROMPT and policy.instructed
    )
    return possible and pattern.status in _UNDECIDED
