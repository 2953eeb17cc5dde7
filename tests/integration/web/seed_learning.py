"""Three cycles and an experiment."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.domain.interaction import Arm
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetExample,
    DatasetVersion,
    RunState,
    ServedAdapter,
    TrainingRun,
)
from feedback.domain.rollout import Assignment
from feedback.domain.trial import Look, Part, Trial
from feedback.store.unit_of_work import Transaction
from tests.integration.web.figures import (
    CHALLENGER,
    CHAMPION,
    EVIDENCE,
    MANIFEST,
    NOW,
    ODD,
    PROMOTED,
    RUNNING,
    STOPPED,
    TRIAL,
    gates,
)


async def past_cycles(tx: Transaction, report: Path) -> None:
    began = datetime(2026, 2, 15, 3, tzinfo=UTC)
    await _run(tx, PROMOTED, began, CHAMPION, "d" * 64, state=RunState.FINISHED)
    await tx.training.add_evaluation(
        f"run-{PROMOTED}",
        "candidate",
        {},
        at=began,
        gates=gates(stopped=False),
        report_path=str(report),
    )
    await tx.adapters.promote(CHAMPION, version=0, at=began + timedelta(days=4))
    await _finished(
        tx,
        PROMOTED,
        began,
        CycleState.PROMOTING,
        CycleOutcome.PROMOTED,
        None,
        f"{CHAMPION} is the champion: the challenger is better and every gate is open",
    )
    began = datetime(2026, 2, 22, 3, tzinfo=UTC)
    await _run(tx, STOPPED, began, "adapter-99aa", "e" * 64, state=RunState.FINISHED)
    await tx.training.add_evaluation(
        f"run-{STOPPED}",
        "candidate",
        {},
        at=began,
        gates=gates(stopped=True),
        report_path="/etc/passwd",
    )
    await tx.adapters.mark("adapter-99aa", AdapterState.STOPPED)
    await _finished(
        tx,
        STOPPED,
        began,
        CycleState.GATING,
        CycleOutcome.STOPPED,
        "arithmetic",
        "stopped by arithmetic: a fall from 98 % to 61 % is beyond the margin of 5 "
        "points (and 1 more)",
    )


async def open_cycle(tx: Transaction, *, training: bool) -> None:
    began = datetime(2026, 3, 1, 3, tzinfo=UTC)
    state = RunState.RUNNING if training else RunState.FINISHED
    await _run(tx, RUNNING, began, CHALLENGER, "f" * 64, state=state)
    at = CycleState.TRAINING if training else CycleState.EXPERIMENTING
    await tx.cycles.start(
        Cycle(
            id=RUNNING,
            state=at,
            version=5,
            trigger="schedule",
            requested_by="schedule",
            context={"dataset_id": "f" * 64, "adapter_id": CHALLENGER, "experiment_id": TRIAL},
            reason="promote E is 3.41, needs 20",
            started_at=began,
            updated_at=NOW,
        )
    )
    await _trail(tx, RUNNING, began, at)
    deployment = await tx.deployments.desire(
        "understudy/tiny-base",
        [ServedAdapter(name=name, path="/a", sha256="s") for name in (CHAMPION, CHALLENGER)],
        began,
    )
    await tx.deployments.update(deployment, began, url="http://127.0.0.1:8620")
    proof: dict[str, Any] = {"adapters": {name: {} for name in (CHAMPION, CHALLENGER)}}
    await tx.deployments.activate(deployment, proof=proof, at=began + timedelta(hours=1))


async def _run(
    tx: Transaction, cycle_id: str, at: datetime, adapter_id: str, dataset: str, *, state: RunState
) -> None:
    await tx.datasets.add(
        DatasetVersion(
            id=dataset,
            path=Path("/data"),
            labels=21,
            train_rows=40,
            holdout_rows=6,
            rejected_rows=13,
            manifest=MANIFEST,
            created_at=at,
        ),
        [
            DatasetExample(
                example_id=f"x{n}",
                side="train",
                source="correction",
                interaction_ids=(f"i-{n:02d}-00",),
            )
            for n in range(12)
        ],
    )
    curve = [[step, 0.35 + 2.4 * 0.985**step] for step in range(5, 241, 5)]
    total = 400 if state is RunState.RUNNING else 240
    await tx.training.start(
        TrainingRun(
            id=f"run-{cycle_id}",
            dataset_id=dataset,
            base_model="understudy/tiny-base",
            spec={"recipe": {"rank": 16, "alpha": 32, "learning_rate": 0.003, "epochs": 4}},
            state=RunState.RUNNING,
            started_at=at,
        )
    )
    await tx.training.progress(
        f"run-{cycle_id}",
        {
            "step": 240,
            "total_steps": total,
            "loss": curve[-1][1],
            "tokens_per_s": 4127.0,
            "eta_s": 74.0,
            "rss_mb": 611.0,
            "curve": curve,
        },
    )
    if state is RunState.FINISHED:
        await tx.training.finish(
            f"run-{cycle_id}",
            state=state,
            at=at,
            result={
                "steps": 240,
                "seconds": 118.0,
                "peak_rss_mb": 634.0,
                "versions": {"torch": "2.13.0", "peft": "0.21.2"},
            },
        )
    await tx.adapters.add(
        Adapter(
            id=adapter_id,
            sha256=adapter_id.removeprefix("adapter-") * 5,
            path=Path("/a"),
            base_model="understudy/tiny-base",
            template_sha256="5e" * 32,
            dataset_id=dataset,
            training_run_id=f"run-{cycle_id}",
            signature={},
            state=AdapterState.PUBLISHED,
            created_at=at,
        )
    )


async def _finished(
    tx: Transaction,
    cycle_id: str,
    began: datetime,
    last: CycleState,
    outcome: CycleOutcome,
    gate: str | None,
    reason: str,
) -> None:
    ended = began + timedelta(hours=3)
    options = CycleOptions(disabled_cleaners=("arithmetic",) if gate else ())
    dataset = ("e" if gate else "d") * 64
    await tx.cycles.start(
        Cycle(
            id=cycle_id,
            state=CycleState.DONE,
            version=9,
            trigger="schedule",
            outcome=outcome,
            requested_by="schedule",
            options=options,
            context={"dataset_id": dataset},
            gate=gate,
            reason=reason,
            started_at=began,
            updated_at=ended,
            ended_at=ended,
        )
    )
    at = await _trail(tx, cycle_id, began, last)
    await _step(tx, cycle_id, last, CycleState.DONE, at, reason)


async def _trail(tx: Transaction, cycle_id: str, at: datetime, until: CycleState) -> datetime:
    states = list(CycleState)
    for before, after in pairwise(states[: states.index(until) + 1]):
        at += timedelta(minutes=4)
        await _step(tx, cycle_id, before, after, at, f"{before} is done")
    return at + timedelta(minutes=4)


async def _step(
    tx: Transaction, cycle_id: str, before: str, after: str, at: datetime, reason: str
) -> None:
    await tx.audit.append(
        subject=f"cycle:{cycle_id}",
        from_state=before,
        to_state=after,
        actor="scheduler",
        reason=reason,
        at=at,
    )


async def run_experiment(tx: Transaction) -> None:
    began = NOW - timedelta(days=9)
    first = Trial(
        id=TRIAL,
        cycle_id=RUNNING,
        challenger_id=CHALLENGER,
        champion_id=CHAMPION,
        salt="s",
        policy={"profile": "default"},
        slow_ms=900.0,
        state="CANARY",
        stage="CANARY",
        share=0.05,
        version=1,
        started_at=began,
    )
    await tx.experiments.add(first)
    values = {k: v for k, v in vars(first).items() if k not in {"state", "stage", "share"}}
    second = await tx.experiments.advance(
        first, Trial(**values, state="RAMP", stage="RAMP", share=0.25), began + timedelta(days=2)
    )
    trial = second
    for step in range(40):
        logs = {
            "primary": 0.04 * step - 0.2 * (step % 3),
            "harm": -0.05 * step,
            "harm_fast": 0.1 * (step % 5) - 0.04 * step,
            "futility": 0.3 - 0.08 * step,
            "guardrails": {"tone": -0.1 * step, "slow": 0.2 * (step % 7)},
        }
        look = Look(
            at=began + timedelta(hours=5 * step), part=Part.TEST, decision="NONE", logs=logs,
            shas={},
        )  # fmt: skip
        trial = await tx.experiments.note(trial, look, EVIDENCE)
    await tx.routing.assign(
        [
            Assignment(
                experiment_id=TRIAL,
                thread_key=f"T1:C1:{ODD}",
                user_id="U1",
                arm=Arm.CHALLENGER,
                u=0.1234,
                share=0.25,
                stage="RAMP",
                adapter_sha256=None,
                forced_reason=None,
                salt="s",
                assigned_at=NOW,
            )
        ]
    )
