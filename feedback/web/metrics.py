"""The record in Prometheus' text format. Every value is read from the database at the scrape."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from feedback.domain.cycle import Cycle, CycleState
from feedback.domain.reviewing import agreement
from feedback.domain.trial import Trial
from feedback.store.cycles import SCHEDULER_LOOKED_AT
from feedback.store.unit_of_work import Transaction
from feedback.web.site import Site, site_of

router = APIRouter()
_MEDIA_TYPE = "text/plain; version=0.0.4"


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """One metric: its samples by label values.

    Attributes:
        labels: Names of the labels.
        samples: Label values, in the same order, and number.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    samples: Mapping[tuple[str, ...], float]

    def lines(self) -> Iterator[str]:
        """Yields the exposition lines."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for values, number in self.samples.items():
            pairs = zip(self.labels, values, strict=True)
            inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
            yield f"{self.name}{f'{{{inside}}}' if inside else ''} {number:.10g}"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(site: Annotated[Site, Depends(site_of)]) -> PlainTextResponse:
    """Counts of the record."""
    async with site.store.begin() as tx:
        gauges = await _gauges(tx, site)
    return PlainTextResponse(exposition(gauges), media_type=_MEDIA_TYPE)


def exposition(gauges: Sequence[Gauge]) -> str:
    """Returns the text that Prometheus reads; metrics without samples are left out."""
    return "".join(f"{line}\n" for gauge in gauges if gauge.samples for line in gauge.lines())


def experiment_gauges(
    trials: Sequence[Trial], assigned: Mapping[str, Mapping[str, int]]
) -> list[Gauge]:
    """Returns share, threads and evidence of the running experiments.

    Args:
        trials: The running experiments.
        assigned: By the experiment's id, the threads assigned to each arm.
    """
    evidence: dict[tuple[str, ...], float] = {}
    guards: dict[tuple[str, ...], float] = {}
    for trial in trials:
        found = (trial.evidence or {}).get("evidence", {})
        evidence |= {
            (trial.id, name): float(e)
            for name, e in found.items()
            if isinstance(e, int | float) and name != "futility_margin"
        }
        guards |= {(trial.id, name): float(e) for name, e in found.get("guardrails", {}).items()}
    return [
        Gauge(
            name="understudy_experiment_share",
            help="Challenger share of new threads among those of its two arms.",
            labels=("experiment",),
            samples={(trial.id,): trial.share for trial in trials},
        ),
        Gauge(
            name="understudy_experiment_threads",
            help="Threads assigned in a running experiment.",
            labels=("experiment", "arm"),
            samples={
                (trial.id, arm): float(count)
                for trial in trials
                for arm, count in assigned[trial.id].items()
            },
        ),
        Gauge(
            name="understudy_experiment_e_value",
            help="Evidence of a running experiment (E value).",
            labels=("experiment", "channel"),
            samples=evidence,
        ),
        Gauge(
            name="understudy_experiment_guardrail_e_value",
            help="Evidence that the challenger breaks a guardrail (E value).",
            labels=("experiment", "metric"),
            samples=guards,
        ),
    ]


def cycle_gauge(cycles: Sequence[Cycle]) -> Gauge:
    """Returns how many open cycles are in each state: one at most before it goes on stage."""
    states = Counter(cycle.state for cycle in cycles)
    return _by(
        "cycle_state",
        "Open cycles by state.",
        "state",
        {known.value: states[known] for known in CycleState if known is not CycleState.DONE},
    )


async def _gauges(tx: Transaction, site: Site) -> list[Gauge]:
    return [
        *await _work(tx),
        *await _feedback(tx, site),
        *await _learning(tx, site),
    ]


async def _work(tx: Transaction) -> list[Gauge]:
    backlog = await tx.overview.backlog()
    arms = await tx.overview.answers_by_arm()
    return [
        _gauge("inbox_waiting", "Events stored and not finished.", backlog.inbox_waiting),
        _gauge("inbox_parked", "Events of disabled workspaces.", backlog.inbox_parked),
        _gauge("inbox_failed", "Events given up or never understood.", backlog.inbox_failed),
        _gauge("outbox_waiting", "Side effects owed.", backlog.outbox_waiting),
        _gauge("outbox_failed", "Side effects given up.", backlog.outbox_failed),
        _gauge("answers", "Answers given.", sum(arms.values())),
        _by(
            "answers_by_arm",
            "Answers given, by arm; none is outside of any experiment.",
            "arm",
            arms,
        ),
    ]


async def _feedback(tx: Transaction, site: Site) -> list[Gauge]:
    labels = await tx.overview.labels(site.consent)
    agreed = agreement(await tx.reviewing.pairs(None))
    kappa = [] if agreed.kappa is None else [_kappa(agreed.kappa)]
    return [
        _gauge("double_reviews", "Corrections decided by two people.", agreed.pairs),
        *kappa,
        _by("votes", "Current opinions of answers.", "rating", await tx.overview.votes_by_rating()),
        _by(
            "corrections",
            "Corrections by state.",
            "state",
            await tx.overview.corrections_by_state(),
        ),
        _gauge("labels", "Approved corrections.", labels.approved),
        _gauge("labels_trainable", "Approved corrections that may train.", labels.trainable),
        _gauge("label_gate", "Labels needed before an adapter is trained.", site.label_gate),
    ]


async def _learning(tx: Transaction, site: Site) -> list[Gauge]:
    current = await tx.experiments.current()
    trials = {trial.id: await tx.experiments.counts(trial.id) for trial in current}
    active = await tx.deployments.active()
    lost = len({item.name for item in active.adapters} - active.proven) if active else 0
    looked = await tx.switches.get(SCHEDULER_LOOKED_AT)
    gauges = [
        cycle_gauge(await tx.cycles.open_cycles()),
        _by("cycles", "Ended cycles by outcome.", "outcome", await tx.overview.cycles_by_outcome()),
        *experiment_gauges(current, trials),
        _gauge("adapters_lost", "Adapters that the server in use no longer answers with.", lost),
        _gauge("frozen", "1 while the brake is pulled.", (await tx.routing.route()).frozen),
    ]
    if looked is not None:
        age = (site.clock.now() - datetime.fromisoformat(looked)).total_seconds()
        gauges.append(
            _gauge("scheduler_age_seconds", "Seconds since the scheduler last looked.", age)
        )
    return gauges


def _kappa(value: float) -> Gauge:
    return _gauge("review_kappa", "Cohen's kappa of the independent double reviews.", value)


def _gauge(name: str, help_text: str, value: float) -> Gauge:
    return Gauge(name=f"understudy_{name}", help=help_text, samples={(): float(value)})


def _by(name: str, help_text: str, label: str, samples: Mapping[str, float]) -> Gauge:
    by_label: dict[tuple[str, ...], float] = {
        (value,): float(number) for value, number in samples.items()
    }
    return Gauge(name=f"understudy_{name}", help=help_text, labels=(label,), samples=by_label)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
