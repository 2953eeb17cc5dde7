"""Model-server deployments: what should be served, what is, and the one that gets traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.learning import Deployment, DeploymentState, ServedAdapter
from feedback.store.tables.learning import deployments


class SqlDeployments:
    """Deployment rows; the supervisor and the publisher meet only here."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def desire(self, base_model: str, adapters: Sequence[ServedAdapter], at: datetime) -> int:
        """Asks the supervisor for a server with these adapters; returns the deployment's id."""
        deployment_id = await self._connection.scalar(
            insert(deployments)
            .values(
                base_model=base_model,
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

    async def update(self, deployment_id: int, at: datetime, **values: Any) -> None:  # noqa: ANN401
        """Stores new values of some columns (state, url, pid, error, proof)."""
        await self._connection.execute(
            update(deployments)
            .where(deployments.c.id == deployment_id)
            .values(updated_at=at, **values)
        )

    async def activate(self, deployment_id: int, *, proof: Mapping[str, Any], at: datetime) -> None:
        """Flips the traffic: the active one starts draining, this one becomes active."""
        await self._connection.execute(
            update(deployments)
            .where(deployments.c.state == DeploymentState.ACTIVE, deployments.c.id != deployment_id)
            .values(state=DeploymentState.DRAINING, updated_at=at)
        )
        await self.update(
            deployment_id, at, state=DeploymentState.ACTIVE, proof=dict(proof), error=None
        )


def _deployment(row: RowMapping) -> Deployment:
    return Deployment(
        id=row["id"],
        base_model=row["base_model"],
        adapters=tuple(ServedAdapter(**item) for item in row["adapters"]),
        state=DeploymentState(row["state"]),
        url=row["url"],
        pid=row["pid"],
        error=row["error"],
        proof=row["proof"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
