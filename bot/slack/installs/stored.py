"""Many workspaces, installed by OAuth."""

import logging
import time

from slack_sdk.errors import SlackTokenRotationError
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.oauth.installation_store.models.installation import Installation as Granted
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator

from bot.slack.errors import slack_errors
from bot.slack.installs.token_store import Saved, TokenStore
from bot.slack.workspaces import Installation
from feedback.clock import Clock
from feedback.domain.workspace import WorkspaceRecord, WorkspaceState
from feedback.errors import RetryableError, UnderstudyError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

ROTATE_MINUTES = 120
"""Minutes before its end at which a token is exchanged; Slack's tokens live twelve hours."""


class StoredInstallations:
    """Implements Installations with the token store.

    Args:
        store: The record.
        clock: Stamps what changes.
        tokens: Where the tokens are.
        rotator: Exchanges tokens that end soon.
    """

    def __init__(
        self, store: Store, clock: Clock, tokens: TokenStore, rotator: AsyncTokenRotator
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._rotator = rotator

    async def find(self, team: str) -> Installation | None:
        """Returns the installation with a token that lasts; None when there is none."""
        async with self._store.begin() as tx:
            record = await tx.workspaces.find(team)
        if record is None or record.state is not WorkspaceState.INSTALLED:
            return None
        bot = await self._bot(record)
        if bot is not None and _ends_soon(bot):
            bot = await self._exchanged(record)
        if bot is None or not bot.bot_token:
            return None
        return Installation(record=record, token=bot.bot_token)

    async def teams(self) -> list[str]:
        """Returns every workspace where the bot may act."""
        async with self._store.begin() as tx:
            records = await tx.workspaces.all()
        return [r.team for r in records if r.state is WorkspaceState.INSTALLED]

    async def _bot(self, record: WorkspaceRecord) -> Bot | None:
        return await self._tokens.async_find_bot(
            enterprise_id=record.enterprise or None, team_id=record.team
        )

    async def _exchanged(self, record: WorkspaceRecord) -> Bot | None:
        """Exchanges a token once, however many processes notice that it ends."""
        async with self._store.begin() as tx:
            await tx.workspaces.lock_token(record.team)
            bot = await self._bot(record)
            if bot is None or not _ends_soon(bot):
                return bot
            try:
                fresh = await self._rotate(bot)
            except UnderstudyError as exc:
                if (bot.bot_token_expires_at or 0) > time.time():
                    _log.warning("the token of %s was not exchanged yet: %s", record.team, exc)
                    return bot
                if isinstance(exc, RetryableError):
                    raise
                await tx.workspaces.stop(
                    record.team,
                    WorkspaceState.DISABLED,
                    generation=record.generation,
                    reason="token_not_exchanged",
                    at=self._clock.now(),
                )
                _log.error("workspace %s is disabled until installed again: %s", record.team, exc)
                return None
            if fresh is None:
                return bot
            await self._tokens.async_save_bot(fresh)
            return fresh

    async def _rotate(self, bot: Bot) -> Bot | None:
        with slack_errors("oauth.v2.access"):
            try:
                return await self._rotator.perform_bot_token_rotation(
                    bot=bot, minutes_before_expiration=ROTATE_MINUTES
                )
            except SlackTokenRotationError as exc:
                raise exc.api_error from exc


def recording(store: Store, clock: Clock) -> Saved:
    """Returns what records a new installation, so that its waiting deliveries go on."""

    async def record(granted: Granted) -> None:
        async with store.begin() as tx:
            await tx.workspaces.install(
                str(granted.team_id),
                name=granted.team_name or "",
                enterprise=granted.enterprise_id or "",
                bot_user=granted.bot_user_id or "",
                bot_id=granted.bot_id or "",
                at=clock.now(),
            )
            await tx.audit.append(
                subject="workspace",
                from_state="absent",
                to_state=WorkspaceState.INSTALLED.value,
                actor=granted.user_id or "unknown",
                reason="installed by OAuth",
                at=clock.now(),
                data={"team": granted.team_id, "scopes": list(granted.bot_scopes or [])},
            )

    return record


def _ends_soon(bot: Bot) -> bool:
    ends = bot.bot_token_expires_at
    return ends is not None and ends <= time.time() + ROTATE_MINUTES * 60
