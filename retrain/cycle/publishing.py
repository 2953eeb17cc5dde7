"""Step PUBLISHING: a server that holds the new adapter is started, proven, and gets the traffic.

The step writes what should be served; the stack's supervisor starts a server for it and says where
it listens. Nobody is answered by a server before every adapter on it was proven, and the server in
use is left alone until then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    Deployment,
    DeploymentState,
    ServedAdapter,
)
from feedback.errors import AdapterNotServedError, ConfigurationError, NotFoundError
from feedback.store.unit_of_work import Store, Transaction


class Prover(Protocol):
    """Shows that a server really serves what it was given."""

    async def prove(self, url: str, adapters: Sequence[Adapter]) -> Mapping[str, Any]:
        """Returns the evidence, as JSON.

        Raises:
            AdapterNotServedError: When an adapter answers like the base, or not like itself.
            TemplateRejectedError: When the server renders another prompt than training did.
            RetryableError: When the server cannot be asked now.
        """
        ...


class Publisher:
    """Moves deployments from desired to active; every call is one look."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        prover: Prover,
        base_model: str,
        *,
        external_url: str = "",
    ) -> None:
        """Creates a publisher.

        Args:
            store: The record.
            clock: Time of the rows.
            prover: Shows what a server really serves.
            base_model: Id or folder of the base.
            external_url: A server that somebody else runs (TGI); empty when the stack's supervisor
                starts servers. TGI loads adapters at its start only, so it serves the base.
        """
        self._store = store
        self._clock = clock
        self._prover = prover
        self._base_model = base_model
        self._external_url = external_url

    async def ensure_baseline(self) -> bool:
        """Sees to it that the champion is served when nothing is active.

        Returns:
            Whether something is active.

        Raises:
            AdapterNotServedError: When what should be active could not be proven.
        """
        async with self._store.begin() as tx:
            if await tx.deployments.active() is not None:
                return True
            waiting = await tx.deployments.in_states(DeploymentState.DESIRED, DeploymentState.READY)
            if not waiting:
                await self._desire(tx, None)
                return False
        return await self._look(waiting[-1])

    async def publish(self, adapter_id: str, deployment_id: int | None) -> tuple[int, bool]:
        """Takes one look at the deployment that must hold an adapter.

        Args:
            adapter_id: The adapter to serve beside the champion and its predecessor.
            deployment_id: What an earlier look returned; None at the first.

        Returns:
            The deployment's id and whether it is active now.

        Raises:
            AdapterNotServedError: When the server failed to start or an adapter is not proven.
        """
        if deployment_id is None:
            async with self._store.begin() as tx:
                return await self._desire(tx, adapter_id), False
        async with self._store.begin() as tx:
            deployment = await tx.deployments.get(deployment_id)
        if deployment is None:
            raise NotFoundError(f"deployment {deployment_id} is gone from the database")
        if deployment.state in {DeploymentState.FAILED, DeploymentState.STOPPED}:
            raise AdapterNotServedError(
                f"deployment {deployment_id} {deployment.state}: {deployment.error}"
            )
        return deployment_id, await self._look(deployment)

    async def _look(self, deployment: Deployment) -> bool:
        if deployment.state is not DeploymentState.READY or deployment.url is None:
            return deployment.state is DeploymentState.ACTIVE
        async with self._store.begin() as tx:
            found = [await tx.adapters.get(item.name) for item in deployment.adapters]
        adapters = [adapter for adapter in found if adapter is not None]
        try:
            proof = await self._prover.prove(deployment.url, adapters)
        except ConfigurationError as exc:
            async with self._store.begin() as tx:
                await tx.deployments.update(
                    deployment.id,
                    self._clock.now(),
                    state=DeploymentState.FAILED,
                    error=str(exc),
                )
            raise
        async with self._store.begin() as tx:
            await tx.deployments.activate(deployment.id, proof=proof, at=self._clock.now())
        return True

    async def _desire(self, tx: Transaction, adapter_id: str | None) -> int:
        if self._external_url:
            return await self._external(tx, adapter_id)
        champion, _ = await tx.adapters.champion()
        previous = await tx.adapters.previous_champion()
        new = await tx.adapters.get(adapter_id) if adapter_id else None
        wanted = {item.id: item for item in (champion, new, previous) if item is not None}
        served = [
            ServedAdapter(name=item.id, path=str(item.path), sha256=item.sha256)
            for item in wanted.values()
        ]
        return await tx.deployments.desire(self._base_model, served, self._clock.now())

    async def _external(self, tx: Transaction, adapter_id: str | None) -> int:
        """Registers the server somebody else runs; it is proven like any other."""
        if adapter_id is not None:
            raise AdapterNotServedError(
                f"{self._external_url} is run by somebody else and loads adapters at its start "
                f"only: start it with LORA_ADAPTERS={adapter_id}=<folder>, or unset TGI_URL so "
                "that the local stack publishes"
            )
        now = self._clock.now()
        deployment_id = await tx.deployments.desire(self._base_model, [], now)
        await tx.deployments.update(
            deployment_id, now, state=DeploymentState.READY, url=self._external_url
        )
        return deployment_id


class PublishingStep:
    """Publishes the cycle's adapter, one look a tick."""

    def __init__(self, store: Store, publisher: Publisher) -> None:
        self._store = store
        self._publisher = publisher

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Looks once."""
        adapter_id: str = cycle.context["adapter_id"]
        try:
            deployment_id, active = await self._publisher.publish(
                adapter_id, cycle.context.get("deployment_id")
            )
        except ConfigurationError as exc:
            return StepResult(reason=str(exc), outcome=CycleOutcome.STOPPED, gate="proof_of_load")
        context = {"deployment_id": deployment_id}
        if not active:
            return StepResult(reason="waiting for the new server", wait=True, context=context)
        async with self._store.begin() as tx:
            await tx.adapters.mark(adapter_id, AdapterState.PUBLISHED)
        return StepResult(
            reason=f"{adapter_id} is served and proven on deployment {deployment_id}",
            context=context,
        )
