"""Builds the Bolt app: the inbox gate in front, thin listeners behind."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_sdk.web.async_client import AsyncWebClient

from bot.in_flight import InFlight
from bot.slack.errors import TokenRefusedError
from bot.slack.forms import subject_of
from bot.slack.inbox_gate import InboxGate
from bot.slack.listeners.base import Heard, Listener, delivered
from bot.slack.workspaces import Workspace, Workspaces
from bot.worker import PostponedError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

_AWAY = "I cannot act in this workspace just now. What you did is kept."
_ANYTHING = re.compile(".*", re.DOTALL)


class Door(AsyncAuthorize):
    """Lets clicks, submissions and commands of installed workspaces in.

    Those of others stay in the inbox, for when the workspace is installed again.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        **_: str | None,
    ) -> AuthorizeResult | None:
        """Bolt's entry."""
        try:
            workspace = await self._workspaces.of(context["installed_team"])
        except PostponedError as exc:
            _log.warning("a delivery stays in the inbox: %s", exc)
            return None
        context["workspace"] = workspace
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=workspace.identity.team,
            user_id=user_id,
            bot_id=workspace.identity.bot_id,
            bot_user_id=workspace.identity.user_id,
            bot_token=workspace.installation.token,
        )


class Reception:
    """Leads whatever comes in to its listener.

    Args:
        store: Deliveries without a listener are closed there.
        workspaces: Told when Slack refuses a token.
        in_flight: Told what is being handled, so that a stop can wait for it.
    """

    def __init__(self, store: Store, workspaces: Workspaces, in_flight: InFlight) -> None:
        self._store = store
        self._workspaces = workspaces
        self._in_flight = in_flight

    def among(self, kind: Callable[[Heard], Mapping[str, Listener]]) -> Listener:
        """Returns a listener for anything of one kind."""

        async def receive(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
            workspace: Workspace = context["workspace"]
            with self._in_flight.working():
                subject = subject_of(delivered(body, context))
                listener = kind(workspace.heard).get(subject, self.ignore)
                try:
                    await listener(ack, body, context)
                except TokenRefusedError as exc:
                    await self._workspaces.lost(workspace, exc.code)

        return receive

    async def ignore(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """Anything that needs no effect: links, closed views, unknown shortcuts."""
        await ack()
        handled = delivered(body, context)
        if handled.delivery_id is not None:
            async with self._store.begin() as tx:
                await tx.inbox.finish(handled.delivery_id)


def build_app(
    client: AsyncWebClient,
    gate: InboxGate,
    door: Door,
    reception: Reception,
    *,
    signing_secret: str | None = None,
    oauth_flow: AsyncOAuthFlow | None = None,
) -> AsyncApp:
    """Returns the app, ready for Socket Mode or an HTTP adapter.

    Events never get past the gate; everything interactive finds a listener, so that Slack is
    never told "not found".

    Args:
        client: Without a token: every request gets its workspace's.
        gate: Stores deliveries.
        door: Finds the workspace.
        reception: Finds the listener.
        signing_secret: Checks requests over HTTP; none in Socket Mode.
        oauth_flow: Serves the pages that install the app, over HTTP.
    """
    app = AsyncApp(
        client=client,
        signing_secret=signing_secret,
        before_authorize=gate.__call__,
        authorize=door,  # type: ignore[arg-type]  # Bolt takes its own class, untold
        oauth_flow=oauth_flow,
        user_facing_authorize_error_message=_AWAY,
        request_verification_enabled=signing_secret is not None,
        logger=logging.getLogger("bot.slack.bolt"),
    )
    app.action(_ANYTHING)(reception.among(lambda heard: heard.actions))
    app.view_submission(_ANYTHING)(reception.among(lambda heard: heard.views))
    app.view_closed(_ANYTHING)(reception.among(lambda _: {}))
    app.shortcut(_ANYTHING)(reception.among(lambda heard: heard.shortcuts))
    app.command(_ANYTHING)(reception.among(lambda heard: heard.commands))
    return app
