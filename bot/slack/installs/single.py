"""One workspace, by the token in the settings."""

import time

from bot.slack.api import SlackApi
from bot.slack.errors import TokenRefusedError
from bot.slack.payloads import Identity
from bot.slack.workspaces import Installation
from feedback.clock import Clock
from feedback.domain.workspace import WorkspaceState
from feedback.store.unit_of_work import Store

ASK_AGAIN_S = 60.0
"""Seconds between two questions whether a refused token is good again."""


class SingleInstallation:
    """Implements Installations with one token.

    Args:
        store: The record.
        clock: Stamps the installation.
        api: Speaks with the token.
        token: Of the bot user.
        review_channel: Where review cards go.
    """

    def __init__(
        self, store: Store, clock: Clock, api: SlackApi, *, token: str, review_channel: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._api = api
        self._token = token
        self._review_channel = review_channel
        self._identity: Identity | None = None
        self._asked_at = 0.0

    async def begin(self) -> Identity:
        """Asks Slack who the token is, and records the installation.

        Raises:
            TokenRefusedError: When Slack refuses the token.
            RetryableError: When Slack or the database is not there.
        """
        identity = await self._api.identity()
        now = self._clock.now()
        async with self._store.begin() as tx:
            record = await tx.workspaces.find(identity.team)
            if record is None or (record.state, record.bot_user, record.bot_id) != (
                WorkspaceState.INSTALLED,
                identity.user_id,
                identity.bot_id,
            ):
                await tx.workspaces.install(
                    identity.team,
                    name="",
                    enterprise="",
                    bot_user=identity.user_id,
                    bot_id=identity.bot_id,
                    at=now,
                )
            else:
                await tx.workspaces.resume(identity.team)
            await tx.workspaces.review_in(identity.team, self._review_channel, at=now)
        self._identity = identity
        return identity

    async def find(self, team: str) -> Installation | None:
        """Returns the installation, if the token is this workspace's and good."""
        if self._identity is None or team != self._identity.team:
            return None
        async with self._store.begin() as tx:
            record = await tx.workspaces.find(team)
        if record is None or record.state is not WorkspaceState.INSTALLED:
            if not await self._good_again():
                return None
            async with self._store.begin() as tx:
                record = await tx.workspaces.find(team)
        return None if record is None else Installation(record=record, token=self._token)

    async def teams(self) -> list[str]:
        """Returns the one workspace."""
        return [self._identity.team] if self._identity else []

    async def _good_again(self) -> bool:
        """Asks Slack again, now and then; a reinstalled app may have kept its token."""
        now = time.monotonic()
        if now - self._asked_at < ASK_AGAIN_S:
            return False
        self._asked_at = now
        try:
            await self.begin()
        except TokenRefusedError:
            return False
        return True
