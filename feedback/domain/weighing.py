"""Is an adapter the right answer now? The one rule of the cycle's step and of "why (not)"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from feedback.domain.pattern import Pattern, PatternKind, PatternStatus, Verdict

_CHEAPER = (Verdict.DOCUMENT, Verdict.PROMPT)
_SETTLED = (PatternStatus.REJECTED, PatternStatus.RESOLVED)


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


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """Whether to train, and every reason against it.

    Attributes:
        labels_missing: Approved corrections still needed.
        failures_missing: Failures that training would mend, still needed.
    """

    train: bool
    reasons: tuple[str, ...]
    fine_tune_failures: int
    labels_missing: int
    failures_missing: int


def weigh(patterns: Sequence[Pattern], labels: int, policy: WeighingPolicy) -> Weighing:
    """Compares what was mined with the thresholds.

    Args:
        patterns: The current patterns.
        labels: Approved corrections that may train.
        policy: The thresholds.
    """
    failures = sum(pattern.size for pattern in mended_by_training(patterns))
    labels_missing = max(0, policy.label_gate - labels)
    failures_missing = max(0, policy.min_fine_tune_failures - failures)
    reasons = []
    if labels_missing:
        reasons.append(
            f"{labels} of {policy.label_gate} approved corrections: {labels_missing} are missing"
        )
    if failures_missing:
        reasons.append(
            f"{failures} failures in patterns that training would mend, "
            f"{policy.min_fine_tune_failures} are needed; cheaper fixes come first"
        )
    return Weighing(
        train=not reasons,
        reasons=tuple(reasons),
        fine_tune_failures=failures,
        labels_missing=labels_missing,
        failures_missing=failures_missing,
    )


def mended_by_training(patterns: Sequence[Pattern]) -> list[Pattern]:
    """Returns the patterns that speak for an adapter."""
    return [
        pattern
        for pattern in patterns
        if pattern.status is not PatternStatus.REJECTED
        and (pattern.verdict is Verdict.FINE_TUNE or pattern.kind is PatternKind.TONE)
    ]


def cheaper_fixes(patterns: Sequence[Pattern]) -> list[Pattern]:
    """Returns the patterns that a document or an instruction would mend, and nobody has yet."""
    return [
        pattern
        for pattern in patterns
        if pattern.verdict in _CHEAPER and pattern.status not in _SETTLED
    ]
