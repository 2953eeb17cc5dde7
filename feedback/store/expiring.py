"""What was taken and never finished becomes free again; what nobody comes back for is erased."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.correction import OPEN_STATES, Correction, CorrectionState
from feedback.domain.handoff import Handoff, HandoffState
from feedback.store.corrections import current_corrections, to_correction
from feedback.store.handoffs import to_handoff
from feedback.store.tables.feedback import corrections
from feedback.store.tables.handoffs import handoffs
from feedback.store.tables.inbox import inbox


class SqlExpiring:
    """Claims, hand-offs and deliveries past their time; one instance per transaction.

    Several processes may look at once: each finds what no other has in hand.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def free_claims(self, before: datetime) -> Sequence[tuple[Correction, str]]:
        """Frees undecided corrections that were claimed before then.

        Returns:
            Each as it is now, and whose claim it was.
        """
        found = await self._connection.execute(
            select(corrections.c.id, corrections.c.claimed_by)
            .where(
                corrections.c.claimed_by.is_not(None),
                corrections.c.state.in_(OPEN_STATES),
                corrections.c.claimed_at < before,
            )
            .with_for_update(skip_locked=True)
        )
        by = {row.id: row.claimed_by for row in found}
        if not by:
            return []
        claimed = corrections.c.state == CorrectionState.CLAIMED
        await self._connection.execute(
            update(corrections)
            .where(corrections.c.id.in_(by))
            .values(
                state=case((claimed, CorrectionState.PROPOSED), else_=corrections.c.state),
                claimed_by=None,
                claimed_at=None,
                row_version=corrections.c.row_version + 1,
            )
        )
        rows = await self._connection.execute(
            current_corrections().where(corrections.c.id.in_(by)).order_by(corrections.c.id)
        )
        return [(to_correction(row), by[row["id"]]) for row in rows.mappings()]

    async def reopen_handoffs(self, before: datetime) -> Sequence[tuple[Handoff, str]]:
        """Opens hand-offs that were taken before then and not answered.

        Returns:
            Each as it is now, and who had taken it.
        """
        found = await self._connection.execute(
            select(handoffs)
            .where(handoffs.c.state == HandoffState.TAKEN, handoffs.c.taken_at < before)
            .order_by(handoffs.c.id)
            .with_for_update(skip_locked=True)
        )
        taken = [to_handoff(row) for row in found.mappings()]
        if not taken:
            return []
        await self._connection.execute(
            update(handoffs)
            .where(handoffs.c.id.in_([handoff.id for handoff in taken]))
            .values(
                state=HandoffState.OPEN,
                taken_by=None,
                taken_at=None,
                row_version=handoffs.c.row_version + 1,
            )
        )
        return [
            (
                replace(
                    handoff,
                    state=HandoffState.OPEN,
                    taken_by=None,
                    taken_at=None,
                    row_version=handoff.row_version + 1,
                ),
                str(handoff.taken_by),
            )
            for handoff in taken
        ]

    async def forget_parked(self, before: datetime) -> int:
        """Erases deliveries that have waited for an installation since before then."""
        result = await self._connection.execute(
            delete(inbox).where(inbox.c.state == "parked", inbox.c.received_at < before)
        )
        return result.rowcount
