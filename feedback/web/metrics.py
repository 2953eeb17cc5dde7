"""The record in Prometheus' text format. Every value is read from the database at the scrape."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from feedback.domain.cycle import CycleState
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
        label: Name of the only label; empty without one.
        samples: Label value and number.
    """

    name: str
    help: str
    label: str = ""
    samples: Mapping[str, float]

    def lines(self) -> Iterator[str]:
        """Yields the exposition lines."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for value, number in self.samples.items():
            labels = f'{{{self.label}="{_escaped(value)}"}}' if self.label else ""
            yield f"{self.name}{labels} {number:.10g}"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(site: Annotated[Site, Depends(site_of)]) -> PlainTextResponse:
    """Counts of the record."""
    async with site.store.begin() as tx:
        gauges = await _gauges(tx, site)
    return PlainTextResponse(exposition(gauges), media_type=_MEDIA_TYPE)


def exposition(gauges: Sequence[Gauge]) -> str:
    """Returns the text that Prometheus reads; metrics without samples are left out."""
    return "".join(f"{line}\n" for gauge in gauges if gauge.samples for line in gauge.lines())


def experiment_gauges(trial: Trial | None, assigned: Mapping[str, int]) -> list[Gauge]:
    """Returns share, threads and evidence of the running experiment; none without one."""
    if trial is None:
        return []
    found = (trial.evidence or {}).get("evidence", {})
    evidence = {
        name: float(e)
        for name, e in found.items()
        if isinstance(e, int | float) and name != "futility_margin"
    }
    guards = {name: float(e) for name, e in found.get("guardrails", {}).items()}
    return [
        _gauge("experiment_share", "Share of new threads the challenger answers.", trial.share),
        Gauge(
            name="understudy_experiment_threads",
            help="Threads assigned in the running experiment.",
            label="arm",
            samples=dict(assigned),
        ),
        Gauge(
            name="understudy_experiment_e_value",
            help="Evidence of the running experiment (E value).",
            label="channel",
            samples=evidence,
        ),
        Gauge(
            name="understudy_experiment_guardrail_e_value",
            help="Evidence that the challenger breaks a guardrail (E value).",
            label="metric",
            samples=guards,
        ),
    ]


def cycle_gauge(state: CycleState | None) -> Gauge:
    """Returns one sample a state: 1 for the running cycle's; all 0 when none runs."""
    states = [known for known in CycleState if known is not CycleState.DONE]
    return Gauge(
        name="understudy_cycle_state",
        help="1 for the state of the running cycle.",
        label="state",
        samples={known.value: float(known is state) for known in states},
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
        Gauge(
            name="understudy_answers_by_arm",
            help="Answers given, by arm; none is outside of any experiment.",
            label="arm",
            samples=arms,
        ),
    ]


async def _feedback(tx: Transaction, site: Site) -> list[Gauge]:
    labels = await tx.overview.labels(site.consent)
    agreed = agreement(await tx.reviewing.pairs(None))
    kappa = [] if agreed.kappa is None else [_kappa(agreed.kappa)]
    return [
        _gauge("double_reviews", "Corrections decided by two people.", agreed.pairs),
        *kappa,
        Gauge(
            name="understudy_votes",
            help="Current opinions of answers.",
            label="rating",
            samples=await tx.overview.votes_by_rating(),
        ),
        Gauge(
            name="understudy_corrections",
            help="Corrections by state.",
            label="state",
            samples=await tx.overview.corrections_by_state(),
        ),
        _gauge("labels", "Approved corrections.", labels.approved),
        _gauge("labels_trainable", "Approved corrections that may train.", labels.trainable),
        _gauge("label_gate", "Labels needed before an adapter is trained.", site.label_gate),
    ]


async def _learning(tx: Transaction, site: Site) -> list[Gauge]:
    cycle = await tx.cycles.open_cycle()
    running = await tx.experiments.current()
    assigned = await tx.experiments.counts(running.id) if running else {}
    active = await tx.deployments.active()
    lost = len({item.name for item in active.adapters} - active.proven) if active else 0
    looked = await tx.switches.get(SCHEDULER_LOOKED_AT)
    gauges = [
        cycle_gauge(cycle.state if cycle else None),
        Gauge(
            name="understudy_cycles",
            help="Ended cycles by outcome.",
            label="outcome",
            samples=await tx.overview.cycles_by_outcome(),
        ),
        *experiment_gauges(running, assigned),
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
    return Gauge(name=f"understudy_{name}", help=help_text, samples={"": float(value)})


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
