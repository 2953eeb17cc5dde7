"""Adapters with real files and rows, and the loop that scheduler and fleet run together."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from feedback.clock import SystemClock
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetVersion,
    Deployment,
    DeploymentState,
    RunState,
    TrainingRun,
)
from feedback.errors import AdapterNotServedError, UnavailableError
from feedback.store.unit_of_work import Store
from retrain.cycle.publishing import Publisher
from retrain.platforms.fleet import Fleet, Patience
from retrain.platforms.port import Platform
from retrain.publishing.identity import ADAPTER_FILES, WEIGHTS, file_sha256
from tests.waiting import until

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def registered(store: Store, root: Path, name: str) -> Adapter:
    """Stores an adapter whose two files are real, if small."""
    folder = root / name
    folder.mkdir(parents=True)
    for file in ADAPTER_FILES:
        (folder / file).write_text(json.dumps({"adapter": name}))
    adapter = Adapter(
        id=name,
        sha256=file_sha256(folder / WEIGHTS),
        path=folder,
        base_model="base",
        template_sha256="t",
        dataset_id=f"d-{name}",
        training_run_id=f"r-{name}",
        signature={},
        state=AdapterState.TRAINED,
        created_at=NOW,
    )
    dataset = DatasetVersion(
        id=adapter.dataset_id,
        path=folder,
        labels=1,
        train_rows=1,
        holdout_rows=0,
        rejected_rows=0,
        manifest={},
        created_at=NOW,
    )
    run = TrainingRun(
        id=adapter.training_run_id,
        dataset_id=dataset.id,
        base_model="base",
        spec={},
        state=RunState.FINISHED,
        started_at=NOW,
    )
    async with store.begin() as tx:
        await tx.datasets.add(dataset, [])
        await tx.training.start(run)
        await tx.adapters.add(adapter)
    return adapter


class AskingProver:
    """Asks a test's server for the names it really answers with."""

    async def prove(self, url: str, adapters: Sequence[Adapter]) -> Mapping[str, Any]:
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False, timeout=5.0) as client:
                served = (await client.get(f"{url}/served")).json()
        except httpx.HTTPError as exc:
            raise UnavailableError(f"{url} does not answer") from exc
        missing = [adapter.id for adapter in adapters if adapter.id not in served]
        if missing:
            raise AdapterNotServedError(f"{url} answers {missing} with the base model")
        return {"adapters": {adapter.id: {"at": url} for adapter in adapters}}


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """What the scheduler does, on one platform, one look at a time."""

    store: Store
    fleet: Fleet
    publisher: Publisher

    @classmethod
    def on(
        cls, store: Store, platform: Platform, *, name: str, patience: Patience | None = None
    ) -> "Publishing":
        clock = SystemClock()
        patience = patience or Patience(start_s=30.0, linger_s=0.0)
        return cls(
            store=store,
            fleet=Fleet(store, clock, platform, name=name, patience=patience),
            publisher=Publisher(store, clock, AskingProver(), "base", platform=name),
        )

    async def look(self) -> bool:
        await self.fleet.look()
        return await self.publisher.ensure_baseline()

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async def met() -> bool:
            await self.fleet.look()
            async with self.store.begin() as tx:
                coming = await tx.deployments.in_states(DeploymentState.DESIRED)
            if not coming:  # a publish that no cycle waits for would be given up
                await self.publisher.ensure_baseline()
            return await condition()

        await until(met)

    async def baseline(self) -> Deployment:
        await until(self.look)
        return await self.active()

    async def publish(self, adapter: Adapter, number: int | None = None) -> Deployment:
        """Publishes an adapter as the cycle's step does, or goes on with it."""
        if number is None:
            number, _ = await self.publisher.publish(adapter.id, None)

        async def active() -> bool:
            await self.fleet.look()
            _, done = await self.publisher.publish(adapter.id, number)
            return done

        await until(active)
        return await self.active()

    async def active(self) -> Deployment:
        async with self.store.begin() as tx:
            found = await tx.deployments.active()
        assert found is not None
        return found

    async def row(self, number: int) -> Deployment:
        async with self.store.begin() as tx:
            found = await tx.deployments.get(number)
        assert found is not None
        return found
