"""Turns what Slack sends into rows to store. Pure."""

import hashlib
import json
from typing import Any

from bot.slack.payloads import (
    ASK_SHORTCUT,
    INTERACTIVE,
    QUESTION_SUBTYPES,
    SESSION_STOPPED,
    Json,
    asked_with,
    team_of,
)
from feedback.domain.delivery import Delivery

LISTENER_GRACE_S = 10.0
"""Seconds that a listener has to handle an interaction before a worker takes over."""


def to_delivery(body: Json, received_ts: float) -> Delivery:
    """Returns the row to store for anything Slack may send.

    Args:
        body: The payload as parsed by Bolt.
        received_ts: Now, in seconds since the epoch.
    """
    clean = _storable(body)
    payload = {"body": clean, "received": received_ts}
    kind = str(clean.get("type") or ("command" if "command" in clean else ""))
    if kind == "event_callback":
        return _event_delivery(clean, payload)
    if kind == "message_action" and clean.get("callback_id") == ASK_SHORTCUT:
        question = asked_with(clean)
        return Delivery(
            event_id=_digest(clean),
            type=kind,
            payload=payload,
            thread_key=question.thread_key if question else None,
        )
    if kind in INTERACTIVE or kind == "command":
        return Delivery(
            event_id=_digest(clean), type=kind, payload=payload, defer_s=LISTENER_GRACE_S
        )
    if kind == "app_rate_limited":
        return Delivery(event_id=_digest(clean), type=kind, payload=payload)
    return Delivery(event_id=_digest(clean), type="unparsed", payload=payload, parsed=False)


def _event_delivery(body: Json, payload: Json) -> Delivery:
    event = body.get("event")
    event_id = body.get("event_id")
    if not isinstance(event, dict) or not event.get("type") or not event_id:
        return Delivery(event_id=_digest(body), type="unparsed", payload=payload, parsed=False)
    if event["type"] not in {"message", "app_mention"}:
        urgent = event["type"] == SESSION_STOPPED
        return Delivery(event_id=str(event_id), type=event["type"], payload=payload, urgent=urgent)
    inner = event.get("message") or event.get("previous_message") or event
    ts, channel = inner.get("ts"), event.get("channel")
    if not ts or not channel:
        return Delivery(event_id=str(event_id), type="unparsed", payload=payload, parsed=False)
    team = team_of(body)
    first_time = event.get("subtype") in QUESTION_SUBTYPES
    # Edits and deletions overtake their question, so that nothing outdated gets answered; those of
    # one message are worked on in order.
    order = f"{inner.get('thread_ts') or ts}" if first_time else f"{ts}:changes"
    return Delivery(
        event_id=str(event_id),
        type=event["type"],
        payload=payload,
        question_key=f"{team}:{channel}:{ts}" if first_time else None,
        thread_key=f"{team}:{channel}:{order}",
        urgent=not first_time,
    )


def _digest(body: Json) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _storable(body: Json) -> dict[str, Any]:
    """Returns the payload without Slack's verification token and what JSONB cannot hold."""
    kept = {key: value for key, value in body.items() if key != "token"}
    text = json.dumps(kept)
    if "\\u0000" in text or "\\ud" in text:
        cleaned: dict[str, Any] = _clean(kept)
        return cleaned
    return kept


def _clean(value: Any) -> Any:  # noqa: ANN401  (JSON holds anything)
    if isinstance(value, str):
        shown = value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        return shown.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
