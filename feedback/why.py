"""Gathers the facts of "why (not) this week" from the record."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback.domain.operating import FROZEN
from feedback.domain.outlook import RATE_DAYS, Outlook
from feedback.domain.prospects import Frozen, TrialFacts, promotion
from feedback.domain.trial import Trial
from feedback.domain.weighing import mended_by_training
from feedback.domain.why import LearningFacts, Thresholds, WhyReport, why
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
                challengers=settings.experiment.challengers,
            ),
            consent=settings.privacy.training_consent,
        )


async def read_why(tx: Transaction, policy: WhyPolicy, now: datetime) -> WhyReport:
    """Returns why (not) this week, as the record stands."""
    since = now - timedelta(days=RATE_DAYS)
    return why(
        await _learning(tx, policy, since),
        [await _facts(tx, trial, since) for trial in await tx.experiments.shown()],
        now,
    )


async def read_promotion(tx: Transaction, trial: Trial, now: datetime) -> Outlook:
    """Returns what stands before the promotion of one challenger."""
    facts = await _facts(tx, trial, now - timedelta(days=RATE_DAYS))
    return promotion(await _frozen(tx), facts, now)


async def _learning(tx: Transaction, policy: WhyPolicy, since: datetime) -> LearningFacts:
    labels = await tx.overview.labels(policy.consent)
    patterns = await tx.patterns.current()
    mended = [pattern.id for pattern in mended_by_training(patterns, policy.thresholds)]
    datasets = await tx.datasets.latest(1)
    cycles = await tx.cycles.latest(10)
    upcoming = await tx.switches.get(NEXT_CYCLE_AT)
    return LearningFacts(
        thresholds=policy.thresholds,
        labels=labels.trainable,
        labels_lately=await tx.overview.labels_since(policy.consent, since),
        waiting=labels.waiting,
        clean=datasets[0].labels if datasets else None,
        patterns=patterns,
        failures_lately=await tx.patterns.members_since(mended, since),
        open_cycles=await tx.cycles.open_cycles(),
        last_cycle=next((cycle for cycle in cycles if cycle.ended_at is not None), None),
        next_cycle_at=datetime.fromisoformat(upcoming) if upcoming else None,
        frozen=await _frozen(tx),
    )


async def _frozen(tx: Transaction) -> Frozen | None:
    brake = await tx.overview.switch(FROZEN)
    pulled = brake is not None and brake.value == "on"
    return Frozen(by=brake.set_by, since=brake.set_at) if brake and pulled else None


async def _facts(tx: Transaction, trial: Trial, since: datetime) -> TrialFacts:
    request = await tx.promotion_requests.waiting(trial.id)
    return TrialFacts(
        trial=trial,
        lately=await tx.experiments.threads_since(trial.id, since),
        requested_by=request.requested_by if request else None,
        by_hand=await by_hand_words(tx, trial),
    )
