"""Confirmations that operators were shown, and promotions they asked for by hand."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.operating import Confirmation, OperatorAct, PromotionRequest
from feedback.store.tables.base import to_domain
from feedback.store.tables.learning import experiments
from feedback.store.tables.operations import confirmations, promotion_requests


class SqlConfirmations:
    """Confirmations; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, confirmation: Confirmation) -> None:
        """Stores what somebody is about to be shown."""
        await self._connection.execute(
            insert(confirmations).values(
                **{**asdict(confirmation), "shown": dict(confirmation.shown)}
            )
        )

    async def take(self, confirmation_id: str, *, team: str, user: str) -> Confirmation | None:
        """Returns a person's own confirmation, locked until the transaction ends."""
        rows = await self._connection.execute(
            select(confirmations)
            .where(
                confirmations.c.id == confirmation_id,
                confirmations.c.team == team,
                confirmations.c.user_id == user,
            )
            .with_for_update()
        )
        row = rows.mappings().first()
        return _confirmation(row) if row else None

    async def decide(self, confirmation_id: str, outcome: str, *, at: datetime) -> None:
        """Uses a confirmation up (hold its lock)."""
        await self._connection.execute(
            update(confirmations)
            .where(confirmations.c.id == confirmation_id)
            .values(decided_at=at, outcome=outcome)
        )


class SqlPromotionRequests:
    """Promotions by hand; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, experiment_id: str, *, champion_version: int, by: str, reason: str, at: datetime
    ) -> int | None:
        """Asks for a promotion; None when one of this experiment waits already."""
        request_id: int | None = await self._connection.scalar(
            upsert(promotion_requests)
            .values(
                experiment_id=experiment_id,
                champion_version=champion_version,
                requested_by=by,
                reason=reason,
                created_at=at,
            )
            .on_conflict_do_nothing()
            .returning(promotion_requests.c.id)
        )
        return request_id

    async def waiting(self, experiment_id: str) -> PromotionRequest | None:
        """Returns the open request of an experiment."""
        rows = await self._connection.execute(
            select(promotion_requests).where(
                promotion_requests.c.experiment_id == experiment_id,
                promotion_requests.c.done_at.is_(None),
            )
        )
        row = rows.mappings().first()
        return to_domain(PromotionRequest, row) if row else None

    async def orphans(self, running_states: Collection[str]) -> list[PromotionRequest]:
        """Returns open requests whose experiment runs no more, oldest first."""
        rows = await self._connection.execute(
            select(promotion_requests)
            .join(experiments, experiments.c.id == promotion_requests.c.experiment_id)
            .where(
                promotion_requests.c.done_at.is_(None),
                experiments.c.state.not_in(running_states),
            )
            .order_by(promotion_requests.c.id)
        )
        return [to_domain(PromotionRequest, row) for row in rows.mappings()]

    async def close(self, request_id: int, outcome: str, *, at: datetime) -> None:
        """Stores what became of a request."""
        await self._connection.execute(
            update(promotion_requests)
            .where(promotion_requests.c.id == request_id)
            .values(done_at=at, outcome=outcome)
        )

    async def latest(self) -> PromotionRequest | None:
        """Returns the newest request."""
        rows = await self._connection.execute(
            select(promotion_requests).order_by(promotion_requests.c.id.desc()).limit(1)
        )
        row = rows.mappings().first()
        return to_domain(PromotionRequest, row) if row else None


def _confirmation(row: RowMapping) -> Confirmation:
    return to_domain(Confirmation, {**row, "act": OperatorAct(row["act"])})
