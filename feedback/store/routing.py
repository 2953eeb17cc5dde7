"""Reads who answers next and stores each thread's arm once."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, func, literal, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import Arm
from feedback.domain.learning import proven_names
from feedback.domain.rollout import (
    TGI_BASE_NAME,
    ActiveExperiment,
    AdapterRef,
    Assignment,
    Route,
)
from feedback.domain.trial import HOLDBACK
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
"""States in which new threads may meet a challenger."""
_ASSIGNING = (*RUNNING_STATES, HOLDBACK)


def _route() -> Select[Any]:
    """One statement, because every answer waits for it: what is absent reads as null."""
    best, challenger = adapters.alias("best"), adapters.alias("challenger")
    against = adapters.alias("against")
    always = select(literal(1).label("one")).subquery("always")
    return (
        select(
            deployments.c.url,
            deployments.c.base_model,
            deployments.c.base_name,
            deployments.c.proof,
            best.c.id.label("champion_id"),
            best.c.sha256.label("champion_sha256"),
            experiments.c.id.label("experiment_id"),
            experiments.c.salt,
            experiments.c.stage,
            experiments.c.share,
            experiments.c.state,
            experiments.c.paused_at,
            func.coalesce(experiments.c.joined_from, experiments.c.started_at).label("joined_from"),
            against.c.id.label("against_id"),
            against.c.sha256.label("against_sha256"),
            challenger.c.id.label("challenger_id"),
            challenger.c.sha256.label("challenger_sha256"),
            switches.c.value.label("frozen"),
        )
        .select_from(
            always.outerjoin(deployments, deployments.c.state == "active")
            .outerjoin(champion, true())
            .outerjoin(best, best.c.id == champion.c.adapter_id)
            .outerjoin(experiments, experiments.c.state.in_(_ASSIGNING))
            .outerjoin(against, against.c.id == experiments.c.champion_id)
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
            served=proven_names(row["proof"]),
            base_name=row["base_name"] or TGI_BASE_NAME,
            champion=_ref(champion_id, row["champion_sha256"]),
            experiment=ActiveExperiment(
                id=experiment_id,
                salt=row["salt"],
                stage=row["stage"],
                share=row["share"],
                challenger=AdapterRef(id=row["challenger_id"], sha256=row["challenger_sha256"]),
                champion=_ref(row["against_id"], row["against_sha256"]),
                holdback=row["state"] == HOLDBACK,
                joined_from=row["joined_from"],
                paused=row["paused_at"] is not None,
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

    async def assigned(self, thread_key: str) -> Assignment | None:
        """Returns the arm of a thread in the running experiment; None when it takes no part."""
        statement = (
            select(assignments)
            .join(experiments, experiments.c.id == assignments.c.experiment_id)
            .where(
                assignments.c.thread_key == thread_key,
                assignments.c.forced_reason.is_(None),
                experiments.c.state.in_(_ASSIGNING),
            )
        )
        row = (await self._connection.execute(statement)).mappings().first()
        return to_domain(Assignment, {**row, "arm": Arm(row["arm"])}) if row else None


def _ref(adapter_id: str | None, sha256: str) -> AdapterRef | None:
    return AdapterRef(id=adapter_id, sha256=sha256) if adapter_id else None
