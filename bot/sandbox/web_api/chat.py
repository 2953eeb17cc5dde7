"""chat.*: ordinary messages."""

import json

from bot.sandbox.blocks import MAX_MARKDOWN, check_message_blocks
from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.messages import Draft
from bot.sandbox.web_api.call import (
    Args,
    Caller,
    joined_channel,
    method,
    target_channel,
    visible_channel,
)

MAX_TEXT = 40_000
MAX_UPDATE_TEXT = 4_000
MAX_METADATA_BYTES = 10_000


def metadata_of(args: Args, *, is_app: bool) -> Json | None:
    """Returns the metadata argument.

    Raises:
        SlackError: It is malformed, too large, or not sent by the app.
    """
    metadata = args.json("metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if not is_app:
        raise SlackError("metadata_must_be_sent_from_app")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return metadata


def content_of(args: Args, longest: int = MAX_TEXT) -> tuple[str, list[Json]]:
    """Returns text and blocks of a message to send.

    Raises:
        SlackError: `markdown_text_conflict`, `no_text`, `msg_too_long` or a block error.
    """
    markdown = args.text("markdown_text")
    text = args.text("text") or ""
    blocks = check_message_blocks(args.json("blocks", "invalid_blocks_format"))
    if markdown is not None:
        if text or blocks:
            raise SlackError("markdown_text_conflict")
        if len(markdown) > MAX_MARKDOWN:
            raise SlackError("msg_too_long")
        return markdown, [{"type": "markdown", "text": markdown}]
    if not text and not blocks and not args.json("attachments", "invalid_attachments"):
        raise SlackError("no_text")
    if len(text) > longest:
        raise SlackError("msg_too_long")
    return text, blocks


def _draft(caller: Caller, args: Args) -> Draft:
    text, blocks = content_of(args)
    return Draft(
        user=caller.user,
        text=text,
        is_app=caller.is_app,
        blocks=blocks,
        attachments=args.json("attachments", "invalid_attachments") or [],
        thread_ts=args.text("thread_ts"),
        broadcast=args.flag("reply_broadcast"),
        metadata=metadata_of(args, is_app=caller.is_app),
    )


@method("chat.postMessage")
def post_message(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Posts a message."""
    channel = target_channel(sandbox, caller, args)
    draft = _draft(caller, args)
    message = sandbox.messages.post(channel, draft)
    if caller.is_app and draft.thread_ts:
        clear_status(sandbox, channel.id, draft.thread_ts)
    shown = sandbox.state.present(channel, message, metadata=True)
    return {"channel": channel.id, "ts": message["ts"], "message": shown}


@method("chat.postEphemeral")
def post_ephemeral(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Posts a message that one person sees."""
    channel = target_channel(sandbox, caller, args)
    reader = args.required("user")
    if reader not in channel.members:
        raise SlackError("user_not_in_channel")
    message = sandbox.messages.post_ephemeral(channel, _draft(caller, args), reader=reader)
    return {"message_ts": message["ts"]}


@method("chat.update")
def update(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Replaces text and blocks; text alone deletes the blocks, as in Slack."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    ts = args.required("ts")
    message = channel.message(ts)
    if message["user"] != caller.user or message.get("subtype") == "tombstone":
        raise SlackError("cant_update_message")
    streaming = message.get("streaming_state") == "in_progress"
    if streaming and not stream_expired(sandbox, message):
        raise SlackError("streaming_state_conflict")
    text, blocks = content_of(args, longest=MAX_UPDATE_TEXT)
    changes: Json = {"text": text, "blocks": blocks or None}
    if streaming:  # it died of age; the update makes it an ordinary message
        changes |= {"streaming_state": "completed", "_stream": None}
    metadata = metadata_of(args, is_app=caller.is_app)
    if metadata is not None:
        changes["metadata"] = metadata
    changed = sandbox.messages.edit(channel, ts, changes, editor=caller.user)
    shown = sandbox.state.present(channel, changed, metadata=True)
    return {"channel": channel.id, "ts": ts, "text": text, "message": shown}


@method("chat.delete")
def delete(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Deletes an own message."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    ts = args.required("ts")
    if channel.message(ts)["user"] != caller.user:
        raise SlackError("cant_delete_message")
    sandbox.messages.delete(channel, ts)
    return {"channel": channel.id, "ts": ts}


@method("chat.getPermalink")
def get_permalink(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Returns a link that opens the message in the sandbox page."""
    channel = visible_channel(sandbox, caller, args.required("channel"))
    ts = args.required("message_ts")
    message = channel.message(ts)
    link = f"{sandbox.interactivity.base_url}/archives/{channel.id}/p{ts.replace('.', '')}"
    root = message.get("thread_ts")
    if root is not None and root != ts:
        link += f"?thread_ts={root}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def clear_status(sandbox: Sandbox, channel_id: str, thread_ts: str) -> None:
    """A message from the app ends the status of its thread."""
    if sandbox.presence.status(channel_id, thread_ts) is None:
        return
    cleared = sandbox.presence.set_status(channel_id, thread_ts, {"status": ""})
    sandbox.feed.append("status", **cleared)


def stream_expired(sandbox: Sandbox, message: Json) -> bool:
    """Returns whether a stream is older than Slack lets streams live (real time)."""
    age_s: float = sandbox.wall_clock() - message["_stream"]["started"]
    return age_s > sandbox.settings.stream_life_s
