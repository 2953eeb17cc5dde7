"""The use case: a workspace is erased, and the audit trail keeps that it happened."""

from datetime import datetime
from typing import Any

from feedback.domain.forgetting import ForgetReport
from feedback.domain.workspace import WorkspaceState
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Transaction


async def erase_workspace(
    tx: Transaction,
    *,
    team: str,
    by: str,
    reason: str,
    at: datetime,
    event_id: str | None = None,
) -> ForgetReport:
    """Erases a workspace in the caller's transaction; its tokens go too.

    Args:
        tx: The transaction.
        team: The workspace.
        by: Who asks.
        reason: Why.
        at: Now, of the record's clock.
        event_id: Of the delivery that asks for this.

    Raises:
        NotFoundError: When the bot was never installed there.
        UnavailableError: While something of the workspace is being worked on.
    """
    record = await tx.workspaces.find(team)
    if record is None:
        raise NotFoundError(f"the bot was never installed in {team}")
    await tx.workspaces.drop_tokens(team)
    await tx.workspaces.stop(
        team, WorkspaceState.REMOVED, generation=record.generation, reason=reason, at=at
    )
    report = await tx.uninstalling.erase_workspace(team, at=at, event_id=event_id)
    await tx.audit.append(
        subject="workspace",
        from_state=record.state.value,
        to_state="erased",
        actor=by,
        reason=reason,
        at=at,
        data={"team": team, **_counted(report)},
    )
    return report


def _counted(report: ForgetReport) -> dict[str, Any]:
    return {
        "erased": dict(report.erased),
        "datasets": [item.id for item in report.datasets],
        "adapters": [item.id for item in report.adapters],
    }
