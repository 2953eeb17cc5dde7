"""Which adapters somebody may still ask for, and the end of those that nobody can."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.learning import Adapter, AdapterState, DeploymentState
from feedback.store.learning import to_adapter
from feedback.store.tables.learning import adapters, champion, deployments, experiments
from feedback.store.tables.operations import cycles

_SERVING = (
    DeploymentState.DESIRED,
    DeploymentState.READY,
    DeploymentState.ACTIVE,
    DeploymentState.DRAINING,
)


def _holding() -> Select[Any]:
    """One row for every reason to keep an adapter: (id, why)."""
    served = func.jsonb_array_elements(deployments.c.adapters, type_=JSONB)["name"].astext
    open_trials = experiments.c.ended_at.is_(None)
    reasons = union_all(
        select(champion.c.adapter_id, literal("the champion")),
        select(champion.c.previous_adapter_id, literal("the champion before")),
        select(experiments.c.challenger_id, literal("challenger of an open experiment")).where(
            open_trials
        ),
        select(experiments.c.champion_id, literal("champion of an open experiment")).where(
            open_trials
        ),
        select(cycles.c.context["adapter_id"].astext, literal("made by the open cycle")).where(
            cycles.c.ended_at.is_(None)
        ),
        select(served, literal("on a server")).where(deployments.c.state.in_(_SERVING)),
    ).subquery("reasons")
    held, why = reasons.c
    return select(held.label("id"), why.label("why")).where(held.is_not(None))


_HOLDING = _holding()
_HELD_IDS = select(_HOLDING.subquery("holding").c.id)


class SqlCollecting:
    """Garbage collection of adapters; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def held(self) -> Mapping[str, str]:
        """Returns a reason for every adapter that is kept, by id."""
        rows = await self._connection.execute(_HOLDING)
        held: dict[str, str] = {}
        for row in rows:
            held.setdefault(row.id, row.why)
        return held

    async def collectable(self, *, made_before: datetime) -> list[Adapter]:
        """Returns the adapters that nobody can ask for, oldest first."""
        statement = (
            select(adapters)
            .where(
                adapters.c.collected_at.is_(None),
                adapters.c.created_at < made_before,
                adapters.c.id.not_in(_HELD_IDS),
            )
            .order_by(adapters.c.created_at, adapters.c.id)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_adapter(row) for row in rows]

    async def mark(self, adapter_id: str, *, at: datetime) -> bool:
        """Gives an adapter's files up, unless somebody holds it by now.

        Whoever makes it champion in the same moment changes its row: one of the two waits for the
        other, and then sees what it did.
        """
        marked = await self._connection.scalar(
            update(adapters)
            .where(
                adapters.c.id == adapter_id,
                adapters.c.collected_at.is_(None),
                adapters.c.state != AdapterState.CHAMPION,
                adapters.c.id.not_in(_HELD_IDS),
            )
            .values(collected_at=at)
            .returning(adapters.c.id)
        )
        return marked is not None

    async def given_up(self) -> list[Adapter]:
        """Returns the adapters whose files were given up; a crash may have kept some."""
        statement = select(adapters).where(adapters.c.collected_at.is_not(None))
        rows = (await self._connection.execute(statement)).mappings()
        return [to_adapter(row) for row in rows]
