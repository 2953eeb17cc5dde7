"""Reads who answers next and stores each thread's arm once."""

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Arm
from feedback.domain.rollout import ActiveExperiment, AdapterRef, Assignment, Route
from feedback.store.tables.base import to_domain
from feedback.store.tables.learning import (
    adapters,
    assignments,
    champion,
    deployments,
    experiments,
)
from feedback.store.tables.operations import switches

RUNNING_STATES = ("CANARY", "RAMP", "TEST", "READY")


class SqlRouting:
    """Routing rows; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def route(self) -> Route:
        """Returns the deployment, the champion and the running experiment, if any."""
        deployment = (
            (
                await self._connection.execute(
                    select(deployments).where(deployments.c.state == "active")
                )
            )
            .mappings()
            .first()
        )
        return Route(
            url=deployment["url"] if deployment else None,
            base_model=deployment["base_model"] if deployment else "",
            template_sha256=(deployment["proof"] or {}).get("template_sha256", "")
            if deployment
            else "",
            served=frozenset(item["name"] for item in deployment["adapters"])
            if deployment
            else frozenset(),
            champion=await self.champion(),
            experiment=await self._experiment(),
            frozen=await self._frozen(),
        )

    async def champion(self) -> AdapterRef | None:
        """Returns the champion adapter, None when it is the base model."""
        row = (
            (
                await self._connection.execute(
                    select(adapters.c.id, adapters.c.sha256).join(
                        champion, champion.c.adapter_id == adapters.c.id
                    )
                )
            )
            .mappings()
            .first()
        )
        return to_domain(AdapterRef, row) if row else None

    async def assign(self, wanted: Assignment) -> Assignment:
        """Stores the thread's arm, or returns the one stored before: the row wins over the hash."""
        await self._connection.execute(
            insert(assignments).values(**asdict(wanted)).on_conflict_do_nothing()
        )
        row = (
            (
                await self._connection.execute(
                    select(assignments).where(
                        assignments.c.experiment_id == wanted.experiment_id,
                        assignments.c.thread_key == wanted.thread_key,
                    )
                )
            )
            .mappings()
            .one()
        )
        return to_domain(Assignment, {**row, "arm": Arm(row["arm"])})

    async def _experiment(self) -> ActiveExperiment | None:
        row = (
            (
                await self._connection.execute(
                    select(experiments, adapters.c.sha256)
                    .join(adapters, adapters.c.id == experiments.c.challenger_id)
                    .where(experiments.c.state.in_(RUNNING_STATES))
                )
            )
            .mappings()
            .first()
        )
        if row is None:
            return None
        return ActiveExperiment(
            id=row["id"],
            salt=row["salt"],
            stage=row["stage"],
            share=row["share"],
            challenger=AdapterRef(id=row["challenger_id"], sha256=row["sha256"]),
            started_at=row["started_at"],
        )

    async def _frozen(self) -> bool:
        value = await self._connection.scalar(
            select(switches.c.value).where(switches.c.name == "frozen")
        )
        return value == "on"
