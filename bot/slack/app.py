"""Builds the Bolt app: the inbox gate in front, thin listeners behind."""

import logging
import re

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.inbox_gate import InboxGate
from bot.slack.listeners import Listeners
from bot.slack.views.answers import CORRECT_ACTION, REASON_MODAL, VOTE_ACTION
from bot.slack.views.corrections import CONFIRM_MODAL, CORRECTION_MODAL, TEACH_SHORTCUT
from bot.slack.views.reviews import (
    APPROVE_ACTION,
    CLAIM_ACTION,
    EDIT_ACTION,
    EDIT_MODAL,
    ESCALATE_ACTION,
    REJECT_ACTION,
)

_ANYTHING = re.compile(".*", re.DOTALL)


def build_app(
    client: AsyncWebClient,
    gate: InboxGate,
    listeners: Listeners,
    *,
    signing_secret: str | None = None,
) -> AsyncApp:
    """Returns the app, ready for Socket Mode or an HTTP adapter.

    Events never get past the gate; everything interactive finds a listener, so that Slack is
    never told "not found".
    """
    app = AsyncApp(
        client=client,
        signing_secret=signing_secret,
        before_authorize=gate.__call__,
        request_verification_enabled=signing_secret is not None,
        logger=logging.getLogger("bot.slack.bolt"),
    )
    app.action(VOTE_ACTION)(listeners.vote)
    app.action(CORRECT_ACTION)(listeners.correct)
    app.action(CLAIM_ACTION)(listeners.claim)
    app.action(EDIT_ACTION)(listeners.edit)
    for action in (APPROVE_ACTION, REJECT_ACTION, ESCALATE_ACTION):
        app.action(action)(listeners.decide)
    app.view(REASON_MODAL)(listeners.explain)
    app.view(CORRECTION_MODAL)(listeners.draft)
    app.view(CONFIRM_MODAL)(listeners.confirm)
    app.view(EDIT_MODAL)(listeners.save_edit)
    app.shortcut(TEACH_SHORTCUT)(listeners.teach)
    app.action(_ANYTHING)(listeners.ignore)
    app.view_submission(_ANYTHING)(listeners.ignore)
    app.view_closed(_ANYTHING)(listeners.ignore)
    app.shortcut(_ANYTHING)(listeners.ignore)
    app.command(_ANYTHING)(listeners.ignore)
    return app
