"""The pages by which people install the app in their workspace."""

import logging

from slack_bolt.error import BoltError
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.oauth.installation_store.models.installation import Installation
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.errors import slack_errors
from bot.slack.installs.cipher import TokenCipher
from bot.slack.installs.scopes import BOT_SCOPES
from bot.slack.installs.stored import StoredInstallations, recording
from bot.slack.installs.token_store import StateStore, TokenStore
from bot.slack.workspaces import Installations
from feedback.clock import Clock
from feedback.errors import UnderstudyError
from feedback.settings import SlackSettings
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)


class InstallFlow(AsyncOAuthFlow):
    """Bolt's flow; whoever installs sees a page, also when Slack or the database fails."""

    async def run_installation(self, code: str) -> Installation | None:
        """Exchanges the code; None when Slack does not."""
        try:
            with slack_errors("oauth.v2.access"):
                return await super().run_installation(code)
        except UnderstudyError as exc:
            _log.warning("an installation failed: %s", exc)
            return None

    async def store_installation(
        self, request: AsyncBoltRequest, installation: Installation
    ) -> None:
        """Stores what Slack granted.

        Raises:
            BoltError: When it cannot be stored.
        """
        try:
            await super().store_installation(request, installation)
        except UnderstudyError as exc:
            _log.error("the installation in %s was not stored: %s", installation.team_id, exc)
            raise BoltError("not stored") from exc


def by_oauth(
    slack: SlackSettings, store: Store, clock: Clock, client: AsyncWebClient
) -> tuple[Installations, InstallFlow]:
    """Returns the installations that OAuth made, and the pages that make more.

    Args:
        slack: Names the app and the keys.
        store: The record.
        clock: Stamps installations.
        client: Without a token.
    """
    assert slack.client_secret is not None
    secret = slack.client_secret.get_secret_value()
    cipher = TokenCipher(slack.encryption_keys)
    tokens = TokenStore(store, slack.client_id, cipher, recording(store, clock))
    rotator = AsyncTokenRotator(client_id=slack.client_id, client_secret=secret, client=client)
    flow = InstallFlow(
        client=client,
        logger=logging.getLogger("bot.slack.bolt"),
        settings=AsyncOAuthSettings(
            client_id=slack.client_id,
            client_secret=secret,
            scopes=list(BOT_SCOPES),
            redirect_uri=slack.redirect_url or None,
            authorization_url=f"{slack.api_url.removesuffix('api/')}oauth/v2/authorize",
            installation_store=tokens,
            state_store=StateStore(store),
        ),
    )
    return StoredInstallations(store, clock, tokens, rotator), flow
