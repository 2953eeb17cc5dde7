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
    _listen(app, listeners)
    return app


def _listen(app: AsyncApp, listeners: Listeners) -> None:
    tracked = listeners.tracked
    for action, listener in (
        (VOTE_ACTION, listeners.vote),
        (CORRECT_ACTION, listeners.correct),
        (CLAIM_ACTION, listeners.claim),
        (EDIT_ACTION, listeners.edit),
        (APPROVE_ACTION, listeners.decide),
        (REJECT_ACTION, listeners.decide),
        (ESCALATE_ACTION, listeners.decide),
    ):
        app.action(action)(tracked(listener))
    for callback, listener in (
        (REASON_MODAL, listeners.explain),
        (CORRECTION_MODAL, listeners.draft),
        (CONFIRM_MODAL, listeners.confirm),
        (EDIT_MODAL, listeners.save_edit),
    ):
        app.view(callback)(tracked(listener))
    app.shortcut(TEACH_SHORTCUT)(tracked(listeners.teach))
    ignore = tracked(listeners.ignore)
    app.action(_ANYTHING)(ignore)
    app.view_submission(_ANYTHING)(ignore)
    app.view_closed(_ANYTHING)(ignore)
    app.shortcut(_ANYTHING)(ignore)
    app.command(_ANYTHING)(ignore)
