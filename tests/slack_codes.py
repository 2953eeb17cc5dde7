"""Every error code that Slack documents for the methods we call."""

import json
from collections.abc import Sequence
from pathlib import Path

from bot.slack.budget import TIER_PER_MINUTE

_LISTED = Path(__file__).parents[2] / "shared" / "data" / "slack" / "method_errors.json"

COMMON = (
    "account_inactive",
    "fatal_error",
    "internal_error",
    "invalid_arguments",
    "invalid_auth",
    "missing_scope",
    "not_allowed_token_type",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "token_revoked",
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


def codes_of(method: str) -> Sequence[str]:
    """Returns the documented codes of a method, and the common ones."""
    listed = json.loads(_LISTED.read_text()) if _LISTED.exists() else {}
    special = listed.get(method, {}).get("errors", ()) or _KNOWN.get(method, ())
    return sorted({*special, *COMMON})


def every_pair() -> list[tuple[str, str]]:
    """Returns every (method, code)."""
    return [(method, code) for method in sorted(TIER_PER_MINUTE) for code in codes_of(method)]
