"""What happens when a workspace revokes the bot's token or uninstalls the app."""

import logging
from datetime import datetime, timedelta

from feedback.clock import Clock
from feedback.domain.workspace import WorkspaceRecord, WorkspaceState
from feedback.store.unit_of_work import Store
from feedback.uninstalling import erase_workspace

_log = logging.getLogger(__name__)

_CLOCK_SKEW = timedelta(seconds=2)
"""Slack's event times are whole seconds: an installation this close before one is the same."""


class Uninstalling:
    """Ends installations. An event that is older than the present installation ends nothing.

    Args:
        store: The record.
        clock: Stamps what changes.
        erase: Whether uninstalling erases what is stored about the workspace.
    """

    def __init__(self, store: Store, clock: Clock, *, erase: bool) -> None:
        self._store = store
        self._clock = clock
        self._erase = erase

    async def revoked(self, team: str, *, at: datetime) -> None:
        """Deletes the tokens; what the workspace delivered waits for the next installation."""
        await self._stop(team, WorkspaceState.DISABLED, "tokens_revoked", at=at)

    async def uninstalled(self, team: str, *, at: datetime, event_id: str) -> None:
        """Deletes the tokens at once, and then everything stored about the workspace.

        Raises:
            UnavailableError: While something of the workspace is being worked on; the tokens are
                gone by then.
        """
        record = await self._stop(team, WorkspaceState.REMOVED, "app_uninstalled", at=at)
        if record is None or not self._erase:
            return
        async with self._store.begin() as tx:
            await erase_workspace(
                tx,
                team=team,
                by="Slack",
                reason="the app was uninstalled",
                at=self._clock.now(),
                event_id=event_id,
            )
        _log.warning("workspace %s was uninstalled and its data erased", team)

    async def is_over(self, team: str) -> bool:
        """Whether a workspace was uninstalled and not installed since."""
        async with self._store.begin() as tx:
            record = await tx.workspaces.find(team)
        return record is not None and record.state is WorkspaceState.REMOVED

    async def _stop(
        self, team: str, state: WorkspaceState, reason: str, *, at: datetime
    ) -> WorkspaceRecord | None:
        async with self._store.begin() as tx:
            record = await tx.workspaces.find(team)
            if record is None or record.installed_at > at + _CLOCK_SKEW:
                _log.warning("%s of %s is older than its installation", reason, team)
                return None
            await tx.workspaces.drop_tokens(team)
            await tx.workspaces.stop(
                team, state, generation=record.generation, reason=reason, at=self._clock.now()
            )
        return record
