"""A stage with a base champion, a challenger in its last stage, and a proven server."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from feedback.domain.cycle import Cycle, CycleOptions, CycleState
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetExample,
    DatasetVersion,
    Replica,
    RunState,
    ServedAdapter,
    TrainingRun,
)
from feedback.domain.trial import Trial
from feedback.store.unit_of_work import Store, Transaction

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
OPERATORS = "C0OPERATE5"


async def add_adapter(
    tx: Transaction, name: str, *, examples: tuple[DatasetExample, ...] = ()
) -> Adapter:
    """Stores an adapter with a dataset and a run of its own."""
    await tx.datasets.add(
        DatasetVersion(
            id=f"d-{name}",
            path=Path(f"/datasets/{name}"),
            labels=3,
            train_rows=2,
            holdout_rows=1,
            rejected_rows=0,
            manifest={},
            created_at=NOW,
        ),
        examples,
    )
    await tx.training.start(
        TrainingRun(
            id=f"r-{name}",
            dataset_id=f"d-{name}",
            base_model="base",
            spec={},
            state=RunState.FINISHED,
            started_at=NOW,
        )
    )
    adapter = Adapter(
        id=name,
        sha256=f"sha-{name}",
        path=Path("/adapters") / name,
        base_model="base",
        template_sha256="t",
        dataset_id=f"d-{name}",
        training_run_id=f"r-{name}",
        signature={},
        state=AdapterState.PUBLISHED,
        created_at=NOW,
    )
    await tx.adapters.add(adapter)
    return adapter


async def serve(tx: Transaction, *adapters: Adapter, proven: bool = True) -> None:
    """Makes a server with these adapters the one that gets traffic."""
    served = [ServedAdapter(name=a.id, path=str(a.path), sha256=a.sha256) for a in adapters]
    deployment = await tx.deployments.desire("base", served, NOW)
    replica = Replica(name=f"one-{deployment}", url="http://127.0.0.1:1")
    await tx.deployments.update(deployment, NOW, replicas=[replica])
    proof: dict[str, object] = {
        "adapters": {a.id: {} for a in adapters},
        "replicas": {replica.name: {}},
    }
    await tx.deployments.activate(deployment, proof=proof, at=NOW)
    if not proven:
        await tx.deployments.checked(deployment, {"adapters": {}})


async def set_stage(store: Store, *, state: str = "TEST", proven: bool = True) -> Cycle:
    """Opens a cycle whose challenger `new` plays against the base model."""
    cycle = Cycle(
        id="c1",
        state=CycleState.EXPERIMENTING,
        version=8,
        trigger="schedule",
        requested_by="schedule",
        options=CycleOptions(),
        context={"adapter_id": "new"},
        started_at=NOW,
        updated_at=NOW,
    )
    async with store.begin() as tx:
        adapter = await add_adapter(tx, "new")
        await serve(tx, adapter, proven=proven)
        await tx.cycles.start(cycle)
        first = Trial(
            id="e-c1",
            cycle_id="c1",
            challenger_id="new",
            champion_id=None,
            salt="00" * 16,
            policy={"profile": "default"},
            slow_ms=None,
            state="CANARY",
            stage="CANARY",
            share=0.05,
            version=1,
            started_at=NOW,
        )
        await tx.experiments.add(first)
        if state != "CANARY":
            later = replace(first, state=state, stage=state, share=0.5, decision="NONE")
            await tx.experiments.advance(first, later, NOW)
    return cycle
