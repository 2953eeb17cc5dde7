"""Gathers the facts of "why (not) this week" from the record."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback.domain.operating import FROZEN
from feedback.domain.outlook import RATE_DAYS
from feedback.domain.weighing import mended_by_training
from feedback.domain.why import (
    Frozen,
    LearningFacts,
    Thresholds,
    TrialFacts,
    WhyReport,
    why,
)
from feedback.overriding import by_hand_words
from feedback.settings import Settings
from feedback.store.cycles import NEXT_CYCLE_AT
from feedback.store.unit_of_work import Transaction


@dataclass(frozen=True, kw_only=True)
class WhyPolicy:
    """What the answer depends on besides the record.

    Attributes:
        consent: Which corrections may train (see PrivacySettings).
    """

    thresholds: Thresholds
    consent: str

    @classmethod
    def of(cls, settings: Settings) -> "WhyPolicy":
        """Reads the settings."""
        return cls(
            thresholds=Thresholds(
                label_gate=settings.retrain.label_gate,
                min_fine_tune_failures=settings.retrain.min_fine_tune_failures,
                untried_share=settings.retrain.untried_share,
                instructed=bool(settings.bot.instructions),
            ),
            consent=settings.privacy.training_consent,
        )


async def read_why(tx: Transaction, policy: WhyPolicy, now: datetime) -> WhyReport:
    """Returns why (not) this week, as the record stands."""
    since = now - timedelta(days=RATE_DAYS)
    learning = await _learning(tx, policy, since)
    return why(learning, await _newest(tx, since), now)


async def _learning(tx: Transaction, policy: WhyPolicy, since: datetime) -> LearningFacts:
    labels = await tx.overview.labels(policy.consent)
    patterns = await tx.patterns.current()
    mended = [pattern.id for pattern in mended_by_training(patterns, policy.thresholds)]
    datasets = await tx.datasets.latest(1)
    cycles = await tx.cycles.latest(10)
    brake = await tx.overview.switch(FROZEN)
    upcoming = await tx.switches.get(NEXT_CYCLE_AT)
    return LearningFacts(
        thresholds=policy.thresholds,
        labels=labels.trainable,
        labels_lately=await tx.overview.labels_since(policy.consent, since),
        waiting=labels.waiting,
        clean=datasets[0].labels if datasets else None,
        patterns=patterns,
        failures_lately=await tx.patterns.members_since(mended, since),
        open_cycle=await tx.cycles.open_cycle(),
        last_cycle=next((cycle for cycle in cycles if cycle.ended_at is not None), None),
        next_cycle_at=datetime.fromisoformat(upcoming) if upcoming else None,
        frozen=Frozen(by=brake.set_by, since=brake.set_at)
        if brake is not None and brake.value == "on"
        else None,
    )


async def _newest(tx: Transaction, since: datetime) -> TrialFacts | None:
    trial = await tx.experiments.current()
    if trial is None:
        ended = await tx.experiments.latest(1)
        if not ended:
            return None
        trial = ended[0]
    request = await tx.promotion_requests.waiting(trial.id)
    return TrialFacts(
        trial=trial,
        lately=await tx.experiments.threads_since(trial.id, since),
        requested_by=request.requested_by if request else None,
        by_hand=await by_hand_words(tx, trial),
    )
