"""Steps EVALUATING and GATING: the same questions for champion and candidate, then a decision."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.learning import Adapter, AdapterState
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Store
from retrain.evals.evaluation import Evaluation
from retrain.evals.external import PREFIX
from retrain.evals.spec import EvaluationSpec
from retrain.gates.decide import decide
from retrain.gates.policy import GatePolicy
from retrain.gates.report import GateReport
from retrain.jobs.files import write_atomically
from retrain.jobs.folder import JobFolder
from retrain.publishing.manifest import BaseIdentity
from retrain.publishing.registry import AdapterRegistry, Provenance
from retrain.report_card import (
    ReportCard,
    render_html,
    render_markdown,
    render_summary,
    report_card,
)
from retrain.training.process import training_environment
from retrain.training.spec import TrainingResult


@dataclass(frozen=True, kw_only=True)
class EvaluationSetup:
    """Where an evaluation finds what it needs.

    Attributes:
        registry: Where adapters are kept.
        benchmark: Further held-out questions; None when there are none.
        external: Published question sets; each has a gate of its own.
        environment: Of the evaluation process.
    """

    base_id: str
    base_dir: Path
    registry: AdapterRegistry
    style_dir: Path
    benchmark: Path | None
    max_tokens: int
    threads: int
    folder: Path
    environment: Mapping[str, str]
    external: tuple[Path, ...] = ()


class EvaluatingStep:
    """Runs the evaluation process and stores what it measured."""

    def __init__(self, store: Store, clock: Clock, setup: EvaluationSetup) -> None:
        self._store = store
        self._clock = clock
        self._setup = setup

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Looks after the job once."""
        job = JobFolder(self._setup.folder / f"run-{cycle.id}" / "evaluation")
        row = job.result()
        if row is None:
            if not job.running():
                await self._start(job, cycle)
            return StepResult(reason="evaluating", wait=True)
        async with self._store.begin() as tx:
            for subject in ("champion", "candidate"):
                metrics = _read(job.path / f"{subject}.json")["metrics"]
                await tx.training.add_evaluation(
                    cycle.context["run_id"], subject, metrics, at=self._clock.now()
                )
        return StepResult(
            reason="measured " + ", ".join(f"{k} {v:.2f}" for k, v in row["candidate"].items()),
            context={"evaluation_dir": str(job.path)},
        )

    async def _start(self, job: JobFolder, cycle: Cycle) -> None:
        async with self._store.begin() as tx:
            champion, _ = await tx.adapters.champion()
        setup = self._setup
        spec = EvaluationSpec(
            dataset_dir=Path(cycle.context["dataset_path"]),
            base_dir=setup.base_dir,
            champion_dir=champion.path if champion else None,
            candidate_dir=Path(cycle.context["adapter_dir"]),
            style_dir=setup.style_dir,
            benchmark=setup.benchmark,
            external=setup.external,
            max_tokens=setup.max_tokens,
            threads=setup.threads,
        )
        job.start(
            [sys.executable, "-m", "retrain.evals"],
            spec.to_row(),
            {**setup.environment, **training_environment(setup.threads)},
        )


class GatingStep:
    """Decides, writes the report card, and registers the adapter with its signature."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        setup: EvaluationSetup,
        policy: GatePolicy,
        operators_channel: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._setup = setup
        self._policy = policy
        self._operators_channel = operators_channel

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Passes the candidate on, or ends the cycle with the gate's reason."""
        folder = Path(cycle.context["evaluation_dir"])
        champion = Evaluation.from_row(_read(folder / "champion.json"))
        candidate = Evaluation.from_row(_read(folder / "candidate.json"))
        external = [name for name in candidate.metrics if name.startswith(PREFIX)]
        gates = decide(candidate, champion, self._policy.also_keeping(external))
        card = await self._card(cycle, champion, candidate, gates)
        report = folder / "report.html"
        write_atomically(report, render_html(card))
        write_atomically(report.with_suffix(".md"), render_markdown(card))
        adapter = await self._register(cycle, gates)
        async with self._store.begin() as tx:
            await tx.training.add_evaluation(
                cycle.context["run_id"],
                "candidate",
                {name: asdict(metric) for name, metric in candidate.metrics.items()},
                at=self._clock.now(),
                gates=gates.to_row(),
                report_path=str(report),
            )
            if self._operators_channel:
                await tx.outbox.add(
                    key=f"cycle:{cycle.id}:card",
                    kind="slack_message",
                    payload={"channel": self._operators_channel, "text": render_summary(card)},
                )
        context = {"adapter_id": adapter.id, "report": str(report)}
        if gates.passed:
            return StepResult(reason=gates.headline, context=context)
        return StepResult(
            reason=gates.headline,
            outcome=CycleOutcome.STOPPED,
            gate=gates.stopped_by,
            context=context,
        )

    async def _card(
        self, cycle: Cycle, champion: Evaluation, candidate: Evaluation, gates: GateReport
    ) -> ReportCard:
        async with self._store.begin() as tx:
            dataset = await tx.datasets.get(cycle.context["dataset_id"])
            run = await tx.training.get(cycle.context["run_id"])
        if dataset is None:
            raise NotFoundError(f"dataset {cycle.context['dataset_id']} is gone from the database")
        base = Path(cycle.context["evaluation_dir"]) / "base.json"
        return report_card(
            title=f"Cycle {cycle.id}",
            champion=champion,
            candidate=candidate,
            gates=gates,
            base=Evaluation.from_row(_read(base)) if base.exists() else None,
            manifest=dataset.manifest,
            run=_facts(run.result) if run and run.result else {},
        )

    async def _register(self, cycle: Cycle, gates: GateReport) -> Adapter:
        setup, signature = self._setup, Path(cycle.context["evaluation_dir"]) / "signature.json"
        now = self._clock.now()
        known = Provenance(
            base=await asyncio.to_thread(BaseIdentity.of, setup.base_dir, setup.base_id),
            dataset_id=cycle.context["dataset_id"],
            training_run_id=cycle.context["run_id"],
            gates=gates.to_row(),
            signature=_read(signature),
            created_at=now,
        )
        manifest, folder = await asyncio.to_thread(
            setup.registry.put, Path(cycle.context["adapter_dir"]), known
        )
        adapter = Adapter(
            id=manifest.id,
            sha256=manifest.weights_sha256,
            path=folder,
            base_model=known.base.id,
            template_sha256=known.base.template,
            dataset_id=known.dataset_id,
            training_run_id=known.training_run_id,
            signature=known.signature,
            state=AdapterState.TRAINED if gates.passed else AdapterState.STOPPED,
            created_at=now,
        )
        async with self._store.begin() as tx:
            await tx.adapters.add(adapter)
        return adapter


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of the card wants to know of the run."""
    facts = {key: result[key] for key in ("steps", "rows", "seconds", "peak_rss_mb", "sha256")}
    second = TrainingResult.from_row(result).second_stage
    return facts | {"second_stage": second} if second else facts


def _read(path: Path) -> Mapping[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return dict(content)
