"""Leads stored deliveries to the workspace they belong to."""

import logging
from datetime import UTC, datetime

from bot.slack.errors import TokenRefusedError
from bot.slack.payloads import team_of
from bot.slack.uninstalling import Uninstalling
from bot.slack.workspaces import WorkspaceAwayError, Workspaces
from bot.worker import PostponedError
from feedback.domain.delivery import InboxRow
from feedback.errors import RetryableError

_log = logging.getLogger(__name__)

APP_UNINSTALLED = "app_uninstalled"
TOKENS_REVOKED = "tokens_revoked"


class Deliveries:
    """What the workers call."""

    def __init__(self, workspaces: Workspaces, uninstalling: Uninstalling) -> None:
        self._workspaces = workspaces
        self._uninstalling = uninstalling

    async def handle(self, row: InboxRow) -> bool:
        """Works on a row; True when it was closed on the way.

        Raises:
            PostponedError: When its workspace is not there, for now or until the next installation.
        """
        team = row.team or team_of(row.payload["body"])
        if row.type in {APP_UNINSTALLED, TOKENS_REVOKED}:
            await self._end(row, team)
            return False
        try:
            workspace = await self._workspaces.of(team)
        except WorkspaceAwayError:
            if await self._uninstalling.is_over(team):
                return False  # what comes late is not kept for a workspace that was erased
            raise
        try:
            return await workspace.events.handle(row)
        except TokenRefusedError as exc:
            await self._workspaces.lost(workspace, exc.code)
            raise WorkspaceAwayError(team) from exc

    async def give_up(self, row: InboxRow, exc: Exception) -> None:
        """Tells the one who asked, clicked or typed when it failed for good."""
        team = row.team or team_of(row.payload["body"])
        workspace = self._workspaces.known(team)
        if workspace is not None:
            await workspace.events.give_up(row, exc)

    async def _end(self, row: InboxRow, team: str) -> None:
        body = row.payload["body"]
        at = datetime.fromtimestamp(float(body.get("event_time") or row.payload["received"]), UTC)
        if row.type == APP_UNINSTALLED:
            try:
                await self._uninstalling.uninstalled(team, at=at, event_id=row.event_id)
            except RetryableError as exc:
                raise PostponedError(f"{team} is erased later: {exc}", retry_after=1.0) from exc
        elif (body["event"].get("tokens") or {}).get("bot"):
            await self._uninstalling.revoked(team, at=at)
        else:
            _log.info("a person's token in %s was revoked; none is kept", team)
        self._workspaces.drop(team)
