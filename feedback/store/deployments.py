"""Model-server deployments: what should be served, what is, and the one that gets traffic."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.learning import (
    Deployment,
    DeploymentState,
    Replica,
    ServedAdapter,
    proven_names,
)
from feedback.domain.rollout import TGI_BASE_NAME
from feedback.errors import AdapterNotServedError, ConflictError, NotFoundError
from feedback.store.tables.conversations import interactions
from feedback.store.tables.learning import deployments


class SqlDeployments:
    """Deployment rows; the fleet and the publisher meet only here."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def desire(
        self,
        base_model: str,
        adapters: Sequence[ServedAdapter],
        at: datetime,
        *,
        platform: str = "process",
    ) -> int:
        """Asks the fleet of a platform for servers with these adapters; returns the row's id."""
        deployment_id = await self._connection.scalar(
            insert(deployments)
            .values(
                platform=platform,
                base_model=base_model,
                base_name=TGI_BASE_NAME,
                replicas=[],
                adapters=[asdict(adapter) for adapter in adapters],
                state=DeploymentState.DESIRED,
                created_at=at,
                updated_at=at,
            )
            .returning(deployments.c.id)
        )
        return int(deployment_id or 0)

    async def get(self, deployment_id: int) -> Deployment | None:
        """Returns one deployment."""
        statement = select(deployments).where(deployments.c.id == deployment_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return _deployment(row) if row else None

    async def in_states(self, *states: DeploymentState) -> list[Deployment]:
        """Returns the deployments in any of these states, oldest first."""
        statement = (
            select(deployments).where(deployments.c.state.in_(states)).order_by(deployments.c.id)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [_deployment(row) for row in rows]

    async def active(self) -> Deployment | None:
        """Returns the deployment that gets traffic."""
        found = await self.in_states(DeploymentState.ACTIVE)
        return found[0] if found else None

    async def update(
        self,
        deployment_id: int,
        at: datetime,
        *,
        of: Collection[DeploymentState] = tuple(DeploymentState),
        replicas: Sequence[Replica] | None = None,
        **values: Any,  # noqa: ANN401
    ) -> bool:
        """Stores new values of some columns (state, url, pid, base_name, error, proof).

        Returns:
            False when the row is in none of the states `of` by now; then nothing is stored.
        """
        if replicas is not None:
            values["replicas"] = [asdict(replica) for replica in replicas]
        stored = await self._connection.scalar(
            update(deployments)
            .where(deployments.c.id == deployment_id, deployments.c.state.in_(of))
            .values(updated_at=at, **values)
            .returning(deployments.c.id)
        )
        return stored is not None

    async def activate(self, deployment_id: int, *, proof: Mapping[str, Any], at: datetime) -> None:
        """Flips the traffic: the active one starts draining, this one becomes active.

        Raises:
            AdapterNotServedError: When the proof lacks an adapter that the deployment names.
            ConflictError: When its start failed, or a server was started that is not proven.
            NotFoundError: When there is no such deployment.
        """
        await self._connection.execute(
            select(deployments.c.id).where(deployments.c.id == deployment_id).with_for_update()
        )
        deployment = await self.get(deployment_id)
        if deployment is None:
            raise NotFoundError(f"deployment {deployment_id} does not exist")
        unproven = [
            replica.name
            for replica in deployment.replicas
            if replica.name not in proof.get("replicas", {})
        ]
        if unproven or deployment.state not in _BEFORE_TRAFFIC:
            raise ConflictError(
                f"deployment {deployment_id} ({deployment.state}) gets no traffic: "
                f"{', '.join(unproven) or 'nothing'} is still to be proven"
            )
        missing = {item.name for item in deployment.adapters} - proven_names(proof)
        if missing:
            raise AdapterNotServedError(
                f"deployment {deployment_id} gets no traffic: {', '.join(sorted(missing))} is not "
                "proven on it; prove every adapter before the flip"
            )
        await self._connection.execute(
            update(deployments)
            .where(deployments.c.state == DeploymentState.ACTIVE, deployments.c.id != deployment_id)
            .values(state=DeploymentState.DRAINING, updated_at=at)
        )
        await self.update(
            deployment_id, at, state=DeploymentState.ACTIVE, proof=dict(proof), error=None
        )

    async def checked(self, deployment_id: int, proof: Mapping[str, Any]) -> bool:
        """Stores what a later check found; False when another deployment is active by now.

        What the proof no longer names gets no more traffic, from the next turn on.
        """
        found = await self._connection.scalar(
            update(deployments)
            .where(deployments.c.id == deployment_id, deployments.c.state == DeploymentState.ACTIVE)
            .values(proof=dict(proof))
            .returning(deployments.c.id)
        )
        return found is not None

    async def answers_since(self, names: Collection[str], since: datetime) -> int:
        """Counts answers recorded under these adapters' names since a moment."""
        count = await self._connection.scalar(
            select(func.count()).where(
                interactions.c.adapter_id.in_(names), interactions.c.answered_at >= since
            )
        )
        return int(count or 0)


_BEFORE_TRAFFIC = (DeploymentState.DESIRED, DeploymentState.READY, DeploymentState.ACTIVE)


def _deployment(row: RowMapping) -> Deployment:
    return Deployment(
        id=row["id"],
        platform=row["platform"],
        base_model=row["base_model"],
        base_name=row["base_name"],
        adapters=tuple(ServedAdapter(**item) for item in row["adapters"]),
        state=DeploymentState(row["state"]),
        url=row["url"],
        replicas=tuple(Replica(**item) for item in row["replicas"]),
        pid=row["pid"],
        error=row["error"],
        proof=row["proof"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
