"""Step WEIGHING: is an adapter the right answer this week? If not, say what is missing."""

from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.weighing import Weighing, WeighingPolicy, weigh
from feedback.store.unit_of_work import Store


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
                gate=_first_closed(weighing),
                context=context,
            )
        return StepResult(
            reason=f"{labels} approved corrections and {weighing.fine_tune_failures} failures that "
            "training would mend",
            context=context,
        )


def _first_closed(weighing: Weighing) -> str:
    if weighing.labels_missing:
        return "labels"
    return "patterns" if weighing.failures_missing else "cheaper fixes"
