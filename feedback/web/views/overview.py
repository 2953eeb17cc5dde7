"""The overview: who is on stage, what runs, what waits, and why (not) this week."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback.domain.assignment import split
from feedback.domain.audit import AuditEntry
from feedback.domain.cycle import Cycle, CycleState
from feedback.domain.learning import Adapter, Deployment, DeploymentState, TrainingRun
from feedback.domain.operating import PROMOTING
from feedback.domain.reviewing import Agreement
from feedback.store.overview import Backlog, LabelCounts, SwitchState
from feedback.web.views.cycle import StepView, outcome_tone, steps_of
from feedback.web.views.experiment import ExperimentView
from feedback.web.views.training import TrainingView, training_view
from feedback.web.words import ago, plain

_LATE_TICKS = 12
_LATE_AT_LEAST = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class ChampionView:
    """Who answers everybody outside of an experiment.

    Attributes:
        adapter_id: None is the base model.
    """

    adapter_id: str | None
    sha256: str | None
    base_model: str
    since: datetime | None
    since_ago: str


@dataclass(frozen=True, kw_only=True)
class DeploymentView:
    """The model server that gets traffic.

    Attributes:
        proven: How many adapters were proven on it.
    """

    id: int
    url: str
    adapters: tuple[str, ...]
    since: datetime
    proven: bool


@dataclass(frozen=True, kw_only=True)
class LabelGate:
    """How far the labels are.

    Attributes:
        clean: Distinct, clean labels of the newest dataset; None before the first.
        agreed: How far two independent reviewers agree.
    """

    trainable: int
    approved: int
    waiting: int
    required: int
    clean: int | None
    agreed: Agreement | None = None

    @property
    def share(self) -> float:
        """Part of the gate that is reached, 0..1."""
        return min(1.0, self.trainable / self.required)

    @property
    def missing(self) -> int:
        """Labels still missing."""
        return max(0, self.required - self.trainable)


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """When the scheduler last looked."""

    looked_at: datetime | None
    told: str
    late: bool


@dataclass(frozen=True, kw_only=True)
class RunningCycle:
    """The open cycle."""

    id: str
    state: str
    started_at: datetime
    requested_by: str
    reason: str
    steps: tuple[StepView, ...]
    training: TrainingView | None


@dataclass(frozen=True, kw_only=True)
class LastCycle:
    """How the newest ended cycle ended: why (not) this week."""

    id: str
    outcome: str
    tone: str
    gate: str | None
    reason: str
    ended_at: datetime | None
    headline: str


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything of the page's self-refreshing part."""

    champion: ChampionView
    deployment: DeploymentView | None
    cycle: RunningCycle | None
    last: LastCycle | None
    experiments: tuple[ExperimentView, ...]
    labels: LabelGate
    pulse: Pulse
    backlog: Backlog
    frozen: SwitchState | None
    schedule: str

    @property
    def wings(self) -> Iterator[tuple[str, float]]:
        """Who else answers, and what part of all new threads.

        A paused one answers no new thread, nor does one whose promotion is being made.
        """
        joined = [e for e in self.experiments if e.paused_at is None and e.state != PROMOTING]
        yield from zip(
            (each.challenger_id for each in joined),
            split([each.share for each in joined]),
            strict=True,
        )


def champion_view(
    adapter: Adapter | None, base_model: str, since: datetime | None, now: datetime
) -> ChampionView:
    """Returns who is champion."""
    return ChampionView(
        adapter_id=adapter.id if adapter else None,
        sha256=adapter.sha256 if adapter else None,
        base_model=adapter.base_model if adapter else base_model,
        since=since,
        since_ago=ago(since, now) if since else "from the start",
    )


def deployment_view(active: Deployment | None) -> DeploymentView | None:
    """Returns the server that gets traffic."""
    if active is None or active.state is not DeploymentState.ACTIVE:
        return None
    return DeploymentView(
        id=active.id,
        url=active.url or "",
        adapters=tuple(adapter.name for adapter in active.adapters),
        since=active.updated_at,
        proven=active.proven >= {adapter.name for adapter in active.adapters},
    )


def label_gate(
    counts: LabelCounts, required: int, clean: int | None, agreed: Agreement | None = None
) -> LabelGate:
    """Returns how far the labels are."""
    return LabelGate(
        trainable=counts.trainable,
        approved=counts.approved,
        waiting=counts.waiting,
        required=required,
        clean=clean,
        agreed=agreed,
    )


def pulse(looked_at: str | None, now: datetime, tick_s: float) -> Pulse:
    """Returns the scheduler's pulse; late when it missed a dozen looks.

    Args:
        looked_at: ISO moment the scheduler stored, None when it never did.
        now: Of the same clock.
        tick_s: Seconds between two looks.
    """
    if looked_at is None:
        return Pulse(looked_at=None, told="never", late=True)
    moment = datetime.fromisoformat(looked_at)
    allowed = max(_LATE_AT_LEAST, timedelta(seconds=_LATE_TICKS * tick_s))
    return Pulse(looked_at=moment, told=ago(moment, now), late=now - moment > allowed)


def running_cycle(
    cycle: Cycle, entries: Sequence[AuditEntry], run: TrainingRun | None
) -> RunningCycle:
    """Returns the open cycle; the training run only while it is the one at work."""
    training = run if cycle.state is CycleState.TRAINING else None
    return RunningCycle(
        id=cycle.id,
        state=plain(cycle.state),
        started_at=cycle.started_at,
        requested_by=cycle.requested_by,
        reason=cycle.reason or "",
        steps=steps_of(cycle, entries),
        training=training_view(training) if training else None,
    )


def last_cycle(cycles: Sequence[Cycle]) -> LastCycle | None:
    """Returns the newest ended cycle.

    Args:
        cycles: Newest first.
    """
    cycle = next((cycle for cycle in cycles if cycle.outcome is not None), None)
    if cycle is None or cycle.outcome is None:
        return None
    headlines = {
        "promoted": "A new champion this time",
        "stopped": "Stopped at the gates: nobody saw this adapter",
        "ended": "Tried on stage and not promoted",
        "not_needed": "No training this time",
        "failed": "The cycle failed",
    }
    return LastCycle(
        id=cycle.id,
        outcome=plain(cycle.outcome),
        tone=outcome_tone(cycle.outcome),
        gate=plain(cycle.gate) if cycle.gate else None,
        reason=cycle.reason or "",
        ended_at=cycle.ended_at,
        headline=headlines[cycle.outcome],
    )
