"""Reads who answers next and stores each thread's arm once."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, literal, select, true
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


def _route() -> Select[Any]:
    """One statement, because every answer waits for it: what is absent reads as null."""
    best, challenger = adapters.alias("best"), adapters.alias("challenger")
    always = select(literal(1).label("one")).subquery("always")
    return (
        select(
            deployments.c.url,
            deployments.c.base_model,
            deployments.c.proof,
            deployments.c.adapters.label("served"),
            best.c.id.label("champion_id"),
            best.c.sha256.label("champion_sha256"),
            experiments.c.id.label("experiment_id"),
            experiments.c.salt,
            experiments.c.stage,
            experiments.c.share,
            experiments.c.started_at,
            challenger.c.id.label("challenger_id"),
            challenger.c.sha256.label("challenger_sha256"),
            switches.c.value.label("frozen"),
        )
        .select_from(
            always.outerjoin(deployments, deployments.c.state == "active")
            .outerjoin(champion, true())
            .outerjoin(best, best.c.id == champion.c.adapter_id)
            .outerjoin(experiments, experiments.c.state.in_(RUNNING_STATES))
            .outerjoin(challenger, challenger.c.id == experiments.c.challenger_id)
            .outerjoin(switches, switches.c.name == "frozen")
        )
        .limit(1)
    )


_ROUTE = _route()


class SqlRouting:
    """Routing rows; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def route(self) -> Route:
        """Returns the deployment, the champion and the running experiment, if any."""
        row = (await self._connection.execute(_ROUTE)).mappings().one()
        champion_id, experiment_id = row["champion_id"], row["experiment_id"]
        return Route(
            url=row["url"],
            base_model=row["base_model"] or "",
            template_sha256=(row["proof"] or {}).get("template_sha256", ""),
            served=frozenset(item["name"] for item in row["served"] or ()),
            champion=AdapterRef(id=champion_id, sha256=row["champion_sha256"])
            if champion_id
            else None,
            experiment=ActiveExperiment(
                id=experiment_id,
                salt=row["salt"],
                stage=row["stage"],
                share=row["share"],
                challenger=AdapterRef(id=row["challenger_id"], sha256=row["challenger_sha256"]),
                started_at=row["started_at"],
            )
            if experiment_id
            else None,
            frozen=row["frozen"] == "on",
        )

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
