"""A training run: how far it is, how fast, and its loss curve."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.domain.learning import RunState, TrainingRun
from feedback.web.charts import Chart, loss_curve


@dataclass(frozen=True, kw_only=True)
class TrainingView:
    """One run for people.

    Attributes:
        share: Part of the steps that is done, 0..1.
        watched_loss: Of rows that are not trained on; None when the run watches none.
        second_stage: What a second stage learns from while it runs, or what became of it; empty
            without one.
        curve: None before the first report.
    """

    run_id: str
    state: RunState
    running: bool
    step: int
    total_steps: int
    share: float
    loss: float | None
    watched_loss: float | None
    tokens_per_s: float | None
    seconds_left: float | None
    memory_mb: float | None
    seconds: float | None
    error: str | None
    started_at: datetime
    curve: Chart | None
    second_stage: str = ""


def training_view(run: TrainingRun) -> TrainingView:
    """Returns the view of a run, from its result when it has one, else from its progress."""
    progress, result = run.progress, run.result or {}
    points = _points(progress, result)
    total = int(progress.get("total_steps") or result.get("steps") or 0)
    step = int(result.get("steps") or progress.get("step") or 0)
    running = run.state is RunState.RUNNING
    return TrainingView(
        run_id=run.id,
        state=run.state,
        running=running,
        step=step,
        total_steps=total,
        share=min(1.0, step / total) if total else 0.0,
        loss=points[-1][1] if points else None,
        watched_loss=_number(progress.get("watched_loss")),
        tokens_per_s=_number(progress.get("tokens_per_s")),
        seconds_left=_number(progress.get("eta_s")) if running else None,
        memory_mb=_number(result.get("peak_rss_mb") or progress.get("rss_mb")),
        seconds=_number(result.get("seconds")),
        error=run.error,
        started_at=run.started_at,
        curve=loss_curve(points, total or None, progress.get("second_from")) if points else None,
        second_stage=_second_stage(progress, result),
    )


def _points(progress: Mapping[str, Any], result: Mapping[str, Any]) -> list[tuple[int, float]]:
    """The curve from the progress (all of a resumed run), else from the result."""
    rows = progress.get("curve") or result.get("losses") or ()
    return [(int(step), float(loss)) for step, loss in rows]


def _second_stage(progress: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    if result.get("preference_skipped"):
        return f"left out: {result['preference_skipped']}"
    if result.get("preference_steps"):
        return f"{result['preference_steps']} steps on {result['preference_pairs']} pairs"
    if progress.get("stage") == "preferences":
        return f"from step {progress.get('second_from')}, on corrections and wrong answers"
    return ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
