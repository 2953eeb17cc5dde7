"""The use case: somebody is forgotten, and the audit trail keeps that it happened, not who."""

import secrets
from datetime import datetime

from feedback.domain.forgetting import ForgetReport
from feedback.store.unit_of_work import Transaction

THEMSELVES = "the person"
"""Actor in the audit trail of somebody who asked to be forgotten."""


async def forget(
    tx: Transaction,
    *,
    team: str,
    user: str,
    by: str,
    at: datetime,
    event_id: str | None = None,
) -> ForgetReport:
    """Forgets a person in the caller's transaction.

    Args:
        tx: The transaction.
        team: Their workspace.
        user: Their Slack user id.
        by: Who asks; the person's own id is not kept.
        at: Now, of the record's clock.
        event_id: Of the delivery that asks for this.

    Raises:
        UnavailableError: While a question of theirs is being answered.
    """
    alias = f"forgotten-{secrets.token_hex(8)}"
    report = await tx.forgetting.erase(team, user, alias=alias, at=at, event_id=event_id)
    await tx.audit.append(
        subject="person",
        from_state="known",
        to_state="forgotten",
        actor=THEMSELVES if by == user else by,
        reason="asked to be forgotten",
        at=at,
        data={
            "erased": dict(report.erased),
            "datasets": [item.id for item in report.datasets],
            "adapters": [item.id for item in report.adapters],
        },
    )
    return report
