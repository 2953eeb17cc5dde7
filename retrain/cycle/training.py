"""Step TRAINING: one QLoRA run in a process of its own, watched, restarted and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, StepResult
from feedback.domain.learning import RunState, TrainingRun
from feedback.errors import PermanentError
from feedback.store.unit_of_work import Store
from retrain.dataset.files import read_manifest
from retrain.jobs.folder import JobFolder
from retrain.training.process import training_environment
from retrain.training.spec import QloraRecipe, TrainingResult, TrainingSpec

_CURVE_POINTS = 120


def progress_row(reports: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Returns the newest report with the loss curve so far, thinned, for the web page.

    A resumed run repeats the steps after its checkpoint: the newest report of a step counts. Where
    there is a second stage, `second_from` is its first step told.
    """
    if not reports:
        return {}
    losses = {report["step"]: report["loss"] for report in reports if "loss" in report}
    second = [report["step"] for report in reports if report.get("stage") == "preferences"]
    curve = sorted(losses.items())
    stride = -(-len(curve) // _CURVE_POINTS) or 1
    # Counted from the end, so that the newest point is always kept.
    thinned = curve[::-1][::stride][::-1]
    return {
        **reports[-1],
        "curve": [[step, loss] for step, loss in thinned],
        **({"second_from": min(second)} if second else {}),
    }


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """Where and how runs are made.

    Attributes:
        base_id: What the adapter names as its base.
        base_dir: The base snapshot's folder.
        folder: One folder a run is made in here.
        environment: Of the training process, before our own additions.
        command: Starts a run: `training_command()` or `ray_command()`.
        max_hours: A run that is estimated to take longer is refused.
    """

    base_id: str
    base_dir: Path
    folder: Path
    environment: Mapping[str, str]
    command: Sequence[str]
    max_hours: float = 24.0


class TrainingStep:
    """Starts the run when nobody runs it, and waits; a killed run resumes from its checkpoint."""

    def __init__(
        self, store: Store, clock: Clock, recipe: QloraRecipe, setup: TrainingSetup
    ) -> None:
        self._store = store
        self._clock = clock
        self._recipe = recipe
        self._setup = setup

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Looks after the run once."""
        run_id = f"run-{cycle.id}"
        job = JobFolder(self._setup.folder / run_id)
        spec = TrainingSpec(
            dataset_dir=Path(cycle.context["dataset_path"]),
            base_dir=self._setup.base_dir,
            base_id=self._setup.base_id,
            out_dir=job.path / "adapter",
            work_dir=job.path / "work",
            recipe=self._recipe,
            max_hours=self._setup.max_hours,
        )
        await self._register(cycle, run_id, spec)
        try:
            row = job.result()
        except PermanentError as exc:
            await self._finish(run_id, RunState.FAILED, error=str(exc))
            raise
        if row is None:
            if not job.running():
                read_manifest(spec.dataset_dir)  # nobody smuggled a row in meanwhile
                variables = training_environment(self._recipe.threads)
                job.start(
                    self._setup.command, spec.to_row(), {**self._setup.environment, **variables}
                )
            await self._report(run_id, progress_row(job.reports()))
            return StepResult(reason="training", wait=True)
        await self._report(run_id, progress_row(job.reports()))
        await self._finish(run_id, RunState.FINISHED, result=row)
        result = TrainingResult.from_row(row)
        second = f"; second stage: {result.second_stage}" if result.second_stage else ""
        return StepResult(
            reason=f"trained {result.steps} steps on {result.rows} rows in {result.seconds:.0f} s, "
            f"loss {result.final_loss:.3f}, peak memory {result.peak_rss_mb:.0f} MB{second}",
            context={
                "run_id": run_id,
                "adapter_dir": str(result.adapter_dir),
                "train_s": round(result.seconds, 1),
            },
        )

    async def _register(self, cycle: Cycle, run_id: str, spec: TrainingSpec) -> None:
        run = TrainingRun(
            id=run_id,
            dataset_id=cycle.context["dataset_id"],
            base_model=self._setup.base_id,
            spec={**spec.to_row(), "recipe": asdict(self._recipe)},
            state=RunState.RUNNING,
            started_at=self._clock.now(),
        )
        async with self._store.begin() as tx:
            await tx.training.start(run)

    async def _report(self, run_id: str, progress: Mapping[str, Any]) -> None:
        if progress:
            async with self._store.begin() as tx:
                await tx.training.progress(run_id, progress)

    async def _finish(
        self,
        run_id: str,
        state: RunState,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        async with self._store.begin() as tx:
            await tx.training.finish(
                run_id, state=state, at=self._clock.now(), result=result, error=error
            )
