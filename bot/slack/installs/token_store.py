"""slack_sdk's stores in our schema, with the tokens encrypted."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.error import BoltError
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.oauth.installation_store.models.installation import Installation
from slack_sdk.oauth.installation_store.sqlalchemy import AsyncSQLAlchemyInstallationStore
from slack_sdk.oauth.state_store.sqlalchemy import AsyncSQLAlchemyOAuthStateStore

from bot.slack.installs.cipher import TokenCipher
from feedback.store.engine import database_errors
from feedback.store.tables.workspaces import slack_bots, slack_installations, slack_oauth_states
from feedback.store.unit_of_work import Store

STATE_LIFE_S = 600
"""Seconds that somebody has to approve the installation."""

_BOT_TOKENS = ("bot_token", "bot_refresh_token")
_TOKENS = (*_BOT_TOKENS, "user_token", "user_refresh_token", "incoming_webhook_url")

Saved = Callable[[Installation], Awaitable[None]]
"""Called with an installation whose tokens are stored."""


class TokenStore(AsyncSQLAlchemyInstallationStore):
    """Installations with encrypted tokens; the schema belongs to our migrations.

    Args:
        store: The record.
        client_id: The app's.
        cipher: Encrypts the tokens.
        saved: Told of every new installation.
    """

    def __init__(self, store: Store, client_id: str, cipher: TokenCipher, saved: Saved) -> None:
        super().__init__(client_id=client_id, engine=store.engine)
        self._cipher = cipher
        self._saved = saved

    @classmethod
    def build_bots_table(cls, metadata: object, table_name: str) -> Any:  # noqa: ANN401
        """Returns our table instead of the library's."""
        return slack_bots

    @classmethod
    def build_installations_table(cls, metadata: object, table_name: str) -> Any:  # noqa: ANN401
        """Returns our table instead of the library's."""
        return slack_installations

    async def async_save(self, installation: Installation) -> None:
        """Stores an installation in one workspace.

        Raises:
            BoltError: When it is one of a whole organisation.
            UnavailableError: When the database is not there.
        """
        if installation.is_enterprise_install or not installation.team_id:
            raise BoltError("install the app in single workspaces, not in the whole organisation")
        with database_errors():
            await super().async_save(self._sealed(installation, Installation, _TOKENS))
        await self._saved(installation)

    async def async_save_bot(self, bot: Bot) -> None:
        """Stores a bot token, for example one that Slack exchanged for an older one."""
        with database_errors():
            await super().async_save_bot(self._sealed(bot, Bot, _BOT_TOKENS))

    async def async_find_bot(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        is_enterprise_install: bool | None = False,
    ) -> Bot | None:
        """Returns the newest bot of a workspace with its token readable.

        Raises:
            ConfigurationError: When no key fits.
            UnavailableError: When the database is not there.
        """
        with database_errors():
            bot = await super().async_find_bot(
                enterprise_id=enterprise_id,
                team_id=team_id,
                is_enterprise_install=is_enterprise_install,
            )
        if bot is not None:
            _replace(bot, _BOT_TOKENS, self._cipher.open)
        return bot

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        """Returns the newest installation of a workspace with its tokens readable.

        Raises:
            ConfigurationError: When no key fits.
            UnavailableError: When the database is not there.
        """
        with database_errors():
            found = await super().async_find_installation(
                enterprise_id=enterprise_id,
                team_id=team_id,
                user_id=user_id,
                is_enterprise_install=is_enterprise_install,
            )
        if found is not None:
            _replace(found, _TOKENS, self._cipher.open)
        return found

    def _sealed(self, found: Any, kind: type, names: tuple[str, ...]) -> Any:  # noqa: ANN401
        copy = kind(**found.to_dict_for_copying())
        _replace(copy, names, self._cipher.seal)
        return copy


class StateStore(AsyncSQLAlchemyOAuthStateStore):
    """States of installations in progress; each can be used once."""

    def __init__(self, store: Store) -> None:
        super().__init__(expiration_seconds=STATE_LIFE_S, engine=store.engine)
        self._store = store

    async def async_issue(self, *_: object, **__: object) -> str:
        """Returns a new state, and sweeps those that nobody used.

        Raises:
            UnavailableError: When the database is not there.
        """
        async with self._store.begin() as tx:
            await tx.workspaces.sweep_states()
        with database_errors():
            return await super().async_issue()

    @classmethod
    def build_oauth_states_table(cls, metadata: object, table_name: str) -> Any:  # noqa: ANN401
        """Returns our table instead of the library's."""
        return slack_oauth_states


def _replace(found: object, names: tuple[str, ...], change: Callable[[str], str]) -> None:
    for name in names:
        if value := getattr(found, name):
            setattr(found, name, change(value))
