"""Every error code that Slack documents for the methods we call, and what has to come of each.

The decisions are written down a second time on purpose, for the tests of the function that takes
them and of what people see: whoever decides otherwise decides it here too.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.slack.budget import TIER_PER_MINUTE
from bot.slack.errors import Outcome

_LISTED = Path(__file__).parents[2] / "shared" / "data" / "slack" / "method_errors.json"

LOST = ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked")
"""What any method answers once the token is no good."""

COMMON = (
    *LOST,
    "fatal_error",
    "internal_error",
    "invalid_arguments",
    "missing_scope",
    "not_allowed_token_type",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "unknown_method",
)
"""What any method may answer."""

_KNOWN: dict[str, tuple[str, ...]] = {
    "chat.postMessage": ("channel_not_found", "invalid_blocks", "is_archived", "not_in_channel"),
    "chat.startStream": ("channel_type_not_supported", "missing_recipient_user_id"),
    "chat.appendStream": ("message_not_in_streaming_state", "stopped_by_user"),
    "chat.stopStream": ("message_not_in_streaming_state", "stopped_by_user"),
    "chat.update": ("cant_update_message", "message_not_found", "streaming_state_conflict"),
    "views.open": ("exchanged_trigger_id", "expired_trigger_id", "view_too_large"),
    "views.publish": ("hash_conflict", "not_enabled"),
}
"""Used where the long list is not at hand."""

DECIDED: Mapping[str, Outcome] = {
    "ratelimited": Outcome.SLOW_DOWN,
    "rate_limited": Outcome.SLOW_DOWN,
    "message_limit_exceeded": Outcome.SLOW_DOWN,
    "fatal_error": Outcome.TRY_AGAIN,
    "internal_error": Outcome.TRY_AGAIN,
    "service_unavailable": Outcome.TRY_AGAIN,
    "request_timeout": Outcome.TRY_AGAIN,
    "team_added_to_org": Outcome.TRY_AGAIN,
    "external_channel_migrating": Outcome.TRY_AGAIN,
    "messaging_processing_failed": Outcome.TRY_AGAIN,
    "update_failed": Outcome.TRY_AGAIN,
    "invalid_auth": Outcome.INSTALLATION_LOST,
    "not_authed": Outcome.INSTALLATION_LOST,
    "account_inactive": Outcome.INSTALLATION_LOST,
    "token_revoked": Outcome.INSTALLATION_LOST,
    "token_expired": Outcome.INSTALLATION_LOST,
    "unknown_method": Outcome.UNSUPPORTED,
    "method_deprecated": Outcome.UNSUPPORTED,
    "deprecated_endpoint": Outcome.UNSUPPORTED,
    "feature_not_enabled": Outcome.UNSUPPORTED,
    "not_implemented": Outcome.UNSUPPORTED,
    "invalid_blocks": Outcome.PLAINER,
    "invalid_blocks_format": Outcome.PLAINER,
    "msg_blocks_too_long": Outcome.PLAINER,
    "msg_blocks_too_many": Outcome.PLAINER,
    "stopped_by_user": Outcome.STOPPED,
    "streaming_state_conflict": Outcome.FREE_FIRST,
    "hash_conflict": Outcome.READ_AGAIN,
}
"""Every other code is a refusal."""

AGENTS_ONLY = (
    "agents.sessions.setStatus",
    "assistant.threads.setStatus",
    "assistant.threads.setSuggestedPrompts",
)
NO_AGENT = ("not_an_agent", "no_permission", "missing_scope", "not_allowed")
"""How a workspace says that it has no agents."""


def decided(method: str, code: str) -> Outcome:
    """Returns what has to come of a code."""
    if method in AGENTS_ONLY and code in NO_AGENT:
        return Outcome.UNSUPPORTED
    return DECIDED.get(code, Outcome.REFUSED)


def codes_of(method: str) -> Sequence[str]:
    """Returns the documented codes of a method, and the common ones."""
    listed = json.loads(_LISTED.read_text()) if _LISTED.exists() else {}
    special = listed.get(method, {}).get("errors", ()) or _KNOWN.get(method, ())
    return sorted({*special, *COMMON})


def every_pair() -> list[tuple[str, str]]:
    """Returns every (method, code), undocumented decisions included."""
    return [
        (method, code)
        for method in sorted(TIER_PER_MINUTE)
        for code in sorted({*codes_of(method), *DECIDED, *NO_AGENT})
    ]
