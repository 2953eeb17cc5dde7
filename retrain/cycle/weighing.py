"""Step WEIGHING: is an adapter the right answer this week? If not, say what is missing."""

from dataclasses import dataclass
from typing import Protocol

from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.pattern import Pattern, PatternKind, PatternStatus, Verdict
from feedback.store.unit_of_work import Store


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
    """Whether to train, and every reason against it."""

    train: bool
    reasons: tuple[str, ...]
    fine_tune_failures: int


def weigh(patterns: list[Pattern], labels: int, policy: WeighingPolicy) -> Weighing:
    """Compares what was mined with the thresholds.

    Args:
        patterns: The current patterns.
        labels: Approved corrections that may train.
        policy: The thresholds.
    """
    wanted = [
        pattern
        for pattern in patterns
        if pattern.status is not PatternStatus.REJECTED
        and (pattern.verdict is Verdict.FINE_TUNE or pattern.kind is PatternKind.TONE)
    ]
    failures = sum(pattern.size for pattern in wanted)
    reasons = []
    if labels < policy.label_gate:
        reasons.append(
            f"{labels} of {policy.label_gate} approved corrections: "
            f"{policy.label_gate - labels} are missing"
        )
    if failures < policy.min_fine_tune_failures:
        reasons.append(
            f"{failures} failures in patterns that training would mend, "
            f"{policy.min_fine_tune_failures} are needed; cheaper fixes come first"
        )
    return Weighing(train=not reasons, reasons=tuple(reasons), fine_tune_failures=failures)


class WeighingStep:
    """Ends the cycle as not needed, or lets it go on."""

    def __init__(self, store: Store, policy: WeighingPolicy, consent: str) -> None:
        self._store = store
        self._policy = policy
        self._consent = consent

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Weighs the current patterns."""
        async with self._store.begin() as tx:
            patterns = await tx.patterns.current()
            labels = len(await tx.records.trainable(self._consent))
        weighing = weigh(patterns, labels, self._policy)
        context = {"labels": labels, "fine_tune_failures": weighing.fine_tune_failures}
        if not weighing.train:
            return StepResult(
                reason="; ".join(weighing.reasons),
                outcome=CycleOutcome.NOT_NEEDED,
                gate="labels" if labels < self._policy.label_gate else "patterns",
                context=context,
            )
        return StepResult(
            reason=f"{labels} approved corrections and {weighing.fine_tune_failures} failures that "
            "training would mend",
            context=context,
        )
