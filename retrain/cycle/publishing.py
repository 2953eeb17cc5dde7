"""Step PUBLISHING: servers that hold the new adapter are started, proven, and get the traffic.

The step writes what should be served; a fleet (retrain/platforms) starts servers for it and says
where they listen. Nobody is answered by a server before every adapter on it was proven, and the
servers in use are left alone until then.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOutcome, CycleState, StepResult
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    Deployment,
    DeploymentState,
    Replica,
    ServedAdapter,
)
from feedback.errors import (
    AdapterNotServedError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RetryableError,
)
from feedback.store.unit_of_work import Store, Transaction

_log = logging.getLogger(__name__)
EXTERNAL = "external"
"""The platform of a server that somebody else runs."""
_COMING = (DeploymentState.DESIRED, DeploymentState.READY)


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
        platform: str = "process",
        external_url: str = "",
    ) -> None:
        """Creates a publisher.

        Args:
            store: The record.
            clock: Time of the rows.
            prover: Shows what a server really serves.
            base_model: Id or folder of the base.
            platform: Whose fleet starts the servers.
            external_url: With `external`, the server that somebody else runs. TGI loads adapters at
                its start only, so it serves the base.
        """
        self._store = store
        self._clock = clock
        self._prover = prover
        self._base_model = base_model
        self._platform = platform
        self._external_url = external_url

    async def ensure_baseline(self) -> bool:
        """Sees to it that the champion is served when nothing of this platform is active.

        Replicas that were started beside the ones in use, or again, are proven too.

        Returns:
            Whether something is active.

        Raises:
            AdapterNotServedError: When what should be active could not be proven.
        """
        async with self._store.begin() as tx:
            active = await tx.deployments.active()
            waiting = await tx.deployments.in_states(*_COMING)
            moving = active is not None and active.platform != self._platform
            if not waiting and (active is None or moving):
                await self._desire(tx, None)
            cycle = await tx.cycles.at_work()
            if not moving and active is not None and not _is_publishing(cycle):
                await self._give_up(tx, waiting, "no cycle waits for it any more")
        if active is not None and not moving:
            await self._prove_started_again(active)
            return True
        of_cycle = cycle.context.get("deployment_id") if cycle and moving else None
        if waiting and waiting[-1].id != of_cycle:
            return await self._look(waiting[-1]) or moving
        return moving

    async def publish(self, adapter_id: str, deployment_id: int | None) -> tuple[int, bool]:
        """Takes one look at the deployment that must hold an adapter.

        Args:
            adapter_id: The adapter to serve beside the champion, its predecessor and the
                challengers of all experiments.
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
        """Proves what answers, and flips once every replica is proven; True when it is active."""
        if deployment.state not in _COMING:
            return deployment.state is DeploymentState.ACTIVE
        try:
            deployment = await self._prove_replicas(deployment)
        except ConfigurationError as exc:
            async with self._store.begin() as tx:
                await tx.deployments.update(
                    deployment.id,
                    self._clock.now(),
                    of=_COMING,
                    state=DeploymentState.FAILED,
                    error=str(exc),
                )
            raise
        if deployment.state is not DeploymentState.READY or not deployment.proven_everywhere:
            return False
        try:
            async with self._store.begin() as tx:
                await tx.deployments.activate(
                    deployment.id, proof=deployment.proof or {}, at=self._clock.now()
                )
        except ConflictError as exc:
            _log.info("not yet: %s", exc)  # a replica was started since it was read
            return False
        return True

    async def _prove_started_again(self, active: Deployment) -> None:
        """Proves replicas of the servers in use that were not there when the traffic came.

        Where a platform can hold a replica back it gets traffic only now. A proof that fails is
        looked into by the watch, which takes what is lost out of the traffic.
        """
        try:
            await self._prove_replicas(active)
        except RetryableError as exc:
            _log.warning("a server of deployment %s cannot be proven now: %s", active.id, exc)
        except ConfigurationError as exc:
            _log.error("a server of deployment %s is not proven: %s", active.id, exc)

    async def _prove_replicas(self, deployment: Deployment) -> Deployment:
        """Proves the replicas that are not proven yet; returns the deployment with all evidence.

        Raises:
            ConfigurationError: A replica does not serve what it should.
            RetryableError: It cannot be asked now.
        """
        new = [replica for replica in deployment.replicas if not deployment.is_proven(replica)]
        if not new:
            return deployment
        async with self._store.begin() as tx:
            found = [await tx.adapters.get(item.name) for item in deployment.adapters]
        adapters = [adapter for adapter in found if adapter is not None]
        for replica in new:
            evidence = await self._prover.prove(replica.url, adapters)
            deployment = replace(deployment, proof=_with(deployment, replica, evidence))
            async with self._store.begin() as tx:
                await tx.deployments.update(
                    deployment.id, self._clock.now(), of=[deployment.state], proof=deployment.proof
                )
        return deployment

    async def _desire(self, tx: Transaction, adapter_id: str | None) -> int:
        if self._platform == EXTERNAL:
            return await self._external(tx, adapter_id)
        champion, _ = await tx.adapters.champion()
        previous = await tx.adapters.previous_champion()
        new = await tx.adapters.get(adapter_id) if adapter_id else None
        tried = [
            await tx.adapters.get(trial.challenger_id) for trial in await tx.experiments.running()
        ]
        wanted = {item.id: item for item in (champion, new, previous, *tried) if item is not None}
        await self._retire(tx, wanted)
        served = [
            ServedAdapter(name=item.id, path=str(item.path), sha256=item.sha256)
            for item in wanted.values()
        ]
        coming = await tx.deployments.in_states(*_COMING)
        same = [
            row for row in coming if row.platform == self._platform and list(row.adapters) == served
        ]
        # A publish that was killed before it was known whose it is goes on; others would hold the
        # place that the new servers need.
        await self._give_up(tx, [row for row in coming if row not in same[-1:]], "a newer one came")
        if same:
            return same[-1].id
        return await tx.deployments.desire(
            self._base_model, served, self._clock.now(), platform=self._platform
        )

    async def _retire(self, tx: Transaction, wanted: Collection[str]) -> None:
        """Takes from the traffic what only the servers in use have.

        Where servers are replaced one by one there are soon some in use that lack it. Nobody asks
        for it: it is no champion and in no experiment.
        """
        active = await tx.deployments.active()
        if active is None or active.proof is None:
            return
        served = active.proof.get("adapters", {})
        kept = {name: proof for name, proof in served.items() if name in wanted}
        retired = sorted({item.name for item in active.adapters} - set(wanted))
        await tx.deployments.checked(
            active.id, {**active.proof, "adapters": kept, "retired": retired}
        )

    async def _give_up(self, tx: Transaction, rows: Sequence[Deployment], why: str) -> None:
        for row in rows:
            await tx.deployments.update(
                row.id,
                self._clock.now(),
                of=_COMING,
                state=DeploymentState.FAILED,
                error=f"given up before it was proven: {why}",
            )

    async def _external(self, tx: Transaction, adapter_id: str | None) -> int:
        """Registers the server somebody else runs; it is proven like any other."""
        if adapter_id is not None:
            raise AdapterNotServedError(
                f"{self._external_url} is run by somebody else and loads adapters at its start "
                f"only: start it with LORA_ADAPTERS={adapter_id}=<folder>, set "
                "UNDERSTUDY_PUBLISH__PLATFORM to what runs it, or unset TGI_URL so that the local "
                "stack publishes"
            )
        now = self._clock.now()
        deployment_id = await tx.deployments.desire(
            self._base_model, [], now, platform=self._platform
        )
        await tx.deployments.update(
            deployment_id,
            now,
            state=DeploymentState.READY,
            url=self._external_url,
            replicas=[Replica(name=self._external_url, url=self._external_url)],
        )
        return deployment_id


def _is_publishing(cycle: Cycle | None) -> bool:
    return cycle is not None and cycle.state is CycleState.PUBLISHING


def _with(
    deployment: Deployment, replica: Replica, evidence: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Returns the proof with a replica's evidence; what is known of vanished ones is dropped."""
    present = {each.name for each in deployment.replicas}
    before = deployment.proof or {}
    replicas = {
        name: known for name, known in before.get("replicas", {}).items() if name in present
    }
    own = {key: evidence[key] for key in ("adapters", "isolation") if key in evidence}
    return {**evidence, **before, "replicas": {**replicas, replica.name: own}}


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
