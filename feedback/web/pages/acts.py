"""What a person does on a page goes into the audit trail, in the transaction that does it."""

from datetime import datetime

from feedback.store.unit_of_work import Transaction

ACTOR = "operator"
ON_THE_PAGE = "set on the web page"
"""The pages ask nobody for a name or a reason."""


async def record_act(
    tx: Transaction, subject: str, from_state: str, to_state: str, at: datetime
) -> None:
    """Adds the audit entry of something done on the web page."""
    await tx.audit.append(
        subject=subject,
        from_state=from_state,
        to_state=to_state,
        actor=ACTOR,
        reason=ON_THE_PAGE,
        at=at,
    )
