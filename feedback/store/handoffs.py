"""Hand-offs: who was called, who took it, whose reply it became."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.handoff import HELD, WAITING, Handoff, HandoffReason, HandoffState
from feedback.errors import NotFoundError
from feedback.store.tables.base import to_domain
from feedback.store.tables.handoffs import handoffs


class SqlHandoffs:
    """Hand-offs; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open(self, handoff: Handoff) -> Handoff | None:
        """Calls a person; None when this thread waits for one already."""
        added = await self._connection.scalar(
            insert(handoffs)
            .values(**asdict(handoff))
            .on_conflict_do_nothing()
            .returning(handoffs.c.id)
        )
        return handoff if added is not None else None

    async def get(self, handoff_id: str, *, team: str) -> Handoff:
        """Returns a hand-off of that workspace.

        Raises:
            NotFoundError: When it does not exist there.
        """
        rows = await self._connection.execute(
            select(handoffs).where(handoffs.c.id == handoff_id, handoffs.c.team == team)
        )
        row = rows.mappings().first()
        if row is None:
            raise NotFoundError(f"hand-off {handoff_id!r} does not exist in {team!r}")
        return to_handoff(row)

    async def take(self, handoff_id: str, *, team: str, user: str, at: datetime) -> bool:
        """Takes an open hand-off; False when somebody was faster."""
        return await self._advance(
            handoff_id,
            team,
            (HandoffState.OPEN,),
            {"state": HandoffState.TAKEN, "taken_by": user, "taken_at": at},
        )

    async def close(self, handoff_id: str, *, team: str, at: datetime) -> bool:
        """Closes a hand-off; False when it is closed."""
        states = (*WAITING, HandoffState.ANSWERED)
        return await self._advance(
            handoff_id, team, states, {"state": HandoffState.CLOSED, "closed_at": at}
        )

    async def answer(
        self,
        handoff: Handoff,
        *,
        user: str,
        ts: str,
        correction_id: str | None,
        at: datetime,
    ) -> bool:
        """Records a colleague's reply; False when another one came first."""
        return await self._advance(
            handoff.id,
            handoff.team,
            WAITING,
            {
                "state": HandoffState.ANSWERED,
                "answered_by": user,
                "answered_at": at,
                "answer_ts": ts,
                "correction_id": correction_id,
            },
        )

    async def waiting(self, thread_key: str) -> Handoff | None:
        """Returns the hand-off for which a thread awaits a colleague's reply."""
        rows = await self._connection.execute(
            select(handoffs).where(
                handoffs.c.thread_key == thread_key, handoffs.c.state.in_(WAITING)
            )
        )
        row = rows.mappings().first()
        return to_handoff(row) if row else None

    async def held(self, thread_key: str) -> bool:
        """Whether people talk in this thread and the bot waits to be named."""
        found = await self._connection.scalar(
            select(func.count()).where(
                handoffs.c.thread_key == thread_key, handoffs.c.state.in_(HELD)
            )
        )
        return bool(found)

    async def of_reply(self, team: str, channel: str, ts: str) -> Handoff | None:
        """Returns the hand-off that the message at `ts` answered."""
        rows = await self._connection.execute(
            select(handoffs).where(
                handoffs.c.team == team,
                handoffs.c.channel == channel,
                handoffs.c.answer_ts == ts,
            )
        )
        row = rows.mappings().first()
        return to_handoff(row) if row else None

    async def of_interactions(self, interaction_ids: Sequence[str]) -> dict[str, Handoff]:
        """Returns the latest hand-off of each of these answers, by interaction id."""
        rows = await self._connection.execute(
            select(handoffs)
            .where(handoffs.c.interaction_id.in_(interaction_ids))
            .order_by(handoffs.c.opened_at)
        )
        return {row["interaction_id"]: to_handoff(row) for row in rows.mappings()}

    async def set_message(self, handoff_id: str, ts: str) -> None:
        """Remembers the message that people see."""
        await self._connection.execute(
            update(handoffs).where(handoffs.c.id == handoff_id).values(message_ts=ts)
        )

    async def _advance(
        self, handoff_id: str, team: str, allowed: Sequence[HandoffState], values: dict[str, Any]
    ) -> bool:
        result = await self._connection.execute(
            update(handoffs)
            .where(
                handoffs.c.id == handoff_id,
                handoffs.c.team == team,
                handoffs.c.state.in_(allowed),
            )
            .values(**values, row_version=handoffs.c.row_version + 1)
        )
        return result.rowcount == 1


def to_handoff(row: RowMapping) -> Handoff:
    """Returns a row as a hand-off."""
    values = dict(row)
    values["reason"] = HandoffReason(row["reason"])
    values["state"] = HandoffState(row["state"])
    return to_domain(Handoff, values)
