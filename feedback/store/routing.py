"""Reads who answers next, and stores each thread's arms once."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, Select, func, literal, select, true
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
_JOINED_FROM = func.coalesce(experiments.c.joined_from, experiments.c.started_at)


def _route() -> Select[Any]:
    """One statement, because every answer waits for it: what is absent reads as null.

    There is a row for each experiment that new threads may join, and one row if there is none.
    """
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
            _JOINED_FROM.label("joined_from"),
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
            .outerjoin(
                experiments,
                # One whose champion is another by now compares nothing any more.
                (experiments.c.state == HOLDBACK)
                | experiments.c.state.in_(RUNNING_STATES)
                & experiments.c.champion_id.is_not_distinct_from(champion.c.adapter_id),
            )
            .outerjoin(against, against.c.id == experiments.c.champion_id)
            .outerjoin(challenger, challenger.c.id == experiments.c.challenger_id)
            .outerjoin(switches, switches.c.name == "frozen")
        )
        .order_by(_JOINED_FROM, experiments.c.id)
    )


_ROUTE = _route()


class SqlRouting:
    """Routing rows; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def route(self) -> Route:
        """Returns the deployment, the champion and the experiments that new threads may join."""
        rows = (await self._connection.execute(_ROUTE)).mappings().all()
        first = rows[0]
        return Route(
            url=first["url"],
            base_model=first["base_model"] or "",
            template_sha256=(first["proof"] or {}).get("template_sha256", ""),
            served=proven_names(first["proof"]),
            base_name=first["base_name"] or TGI_BASE_NAME,
            champion=_ref(first["champion_id"], first["champion_sha256"]),
            experiments=tuple(_active(row) for row in rows if row["experiment_id"]),
            frozen=first["frozen"] == "on",
        )

    async def assign(self, wanted: Sequence[Assignment]) -> list[Assignment]:
        """Stores a thread's arms, or returns those stored before: a thread is drawn once.

        Args:
            wanted: Arms of one thread, as drawn for all experiments together.
        """
        thread_key = wanted[0].thread_key
        stored = await self.assignments(thread_key)
        if not stored:
            await self._connection.execute(
                insert(assignments).values([asdict(row) for row in wanted]).on_conflict_do_nothing()
            )
            stored = await self.assignments(thread_key)
        return stored

    async def assignments(self, thread_key: str) -> list[Assignment]:
        """Returns the arms of a thread in all experiments that it was drawn for."""
        statement = select(assignments).where(assignments.c.thread_key == thread_key)
        rows = (await self._connection.execute(statement)).mappings()
        return [_assignment(row) for row in rows]

    async def assigned(self, thread_key: str) -> Assignment | None:
        """Returns the arm that counts for a thread now; None when it takes part in nothing."""
        statement = (
            select(assignments)
            .join(experiments, experiments.c.id == assignments.c.experiment_id)
            .where(
                assignments.c.thread_key == thread_key,
                assignments.c.forced_reason.is_(None),
                experiments.c.state.in_(_ASSIGNING),
            )
            .order_by((assignments.c.arm == Arm.CHALLENGER).desc(), _JOINED_FROM, experiments.c.id)
            .limit(1)
        )
        row = (await self._connection.execute(statement)).mappings().first()
        return _assignment(row) if row else None


def _active(row: RowMapping) -> ActiveExperiment:
    return ActiveExperiment(
        id=row["experiment_id"],
        salt=row["salt"],
        stage=row["stage"],
        share=row["share"],
        challenger=AdapterRef(id=row["challenger_id"], sha256=row["challenger_sha256"]),
        champion=_ref(row["against_id"], row["against_sha256"]),
        holdback=row["state"] == HOLDBACK,
        joined_from=row["joined_from"],
        paused=row["paused_at"] is not None,
    )


def _assignment(row: RowMapping) -> Assignment:
    return to_domain(Assignment, {**row, "arm": Arm(row["arm"])})


def _ref(adapter_id: str | None, sha256: str) -> AdapterRef | None:
    return AdapterRef(id=adapter_id, sha256=sha256) if adapter_id else None
