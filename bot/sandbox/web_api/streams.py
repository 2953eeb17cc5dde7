"""chat.startStream, chat.appendStream, chat.stopStream."""

import copy

from bot.sandbox.blocks import MAX_MARKDOWN, check_message_blocks
from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.messages import Draft
from bot.sandbox.state import Channel
from bot.sandbox.web_api.assistant import change_session
from bot.sandbox.web_api.call import Args, Caller, joined_channel, method, target_channel
from bot.sandbox.web_api.chat import clear_status, metadata_of, stream_expired

_TASK_STATUS = {"pending", "in_progress", "complete", "error"}


@method("chat.startStream")
def start_stream(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Starts a message that grows; in channels the recipient must be named."""
    channel = target_channel(sandbox, caller, args)
    thread_ts = args.text("thread_ts")
    if channel.kind != "im":
        for key in ("recipient_team_id", "recipient_user_id"):
            if args.text(key) is None:
                raise SlackError(f"missing_{key}")
    team = sandbox.state.workspace.team_id
    if args.text("recipient_team_id") not in {None, team}:
        raise SlackError("team_not_found")
    recipient = args.text("recipient_user_id")
    if recipient is not None:
        sandbox.state.user(recipient)
    stream: Json = {
        "started": sandbox.wall_clock(),
        "text": "",
        "tasks": {},
        "plan": None,
        "blocks": [],
        "mode": args.text("task_display_mode") or "timeline",
    }
    _grow(stream, args)
    message = sandbox.messages.post(
        channel,
        Draft(
            user=caller.user,
            text=stream["text"],
            is_app=caller.is_app,
            blocks=_blocks(stream),
            thread_ts=thread_ts,
            extra={"streaming_state": "in_progress", "_stream": stream},
        ),
    )
    if thread_ts is not None:
        clear_status(sandbox, channel.id, thread_ts)
        change_session(sandbox, channel.id, thread_ts, "processing")
    return {"channel": channel.id, "ts": message["ts"]}


@method("chat.appendStream")
def append_stream(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Adds text, tasks or blocks to a stream."""
    channel, message = _streaming(sandbox, caller, args)
    if not args.has("markdown_text") and not args.has("chunks"):
        raise SlackError("no_text")
    stream = copy.deepcopy(message["_stream"])
    _grow(stream, args)
    changes = {"text": stream["text"], "blocks": _blocks(stream), "_stream": stream}
    sandbox.messages.edit(channel, message["ts"], changes, editor=caller.user, silent=True)
    return {"channel": channel.id, "ts": message["ts"]}


@method("chat.stopStream")
def stop_stream(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Ends a stream: the message is final, with blocks and metadata."""
    channel, message = _streaming(sandbox, caller, args)
    previous = sandbox.state.present(channel, copy.deepcopy(message))
    stream = copy.deepcopy(message["_stream"])
    _grow(stream, args)
    last = check_message_blocks(args.json("blocks", "invalid_blocks_format"))
    metadata = metadata_of(args, is_app=caller.is_app)
    if not stream["text"] and not _blocks(stream) and not last:
        raise SlackError("no_text")
    changes: Json = {
        "text": stream["text"],
        "blocks": [*_blocks(stream), *last],
        "streaming_state": "completed",
        "_stream": None,
    }
    if metadata is not None:
        changes["metadata"] = metadata
    ts = message["ts"]
    sandbox.messages.edit(channel, ts, changes, editor=caller.user, silent=True)
    sandbox.messages.finish_stream(channel, ts, previous)
    root = message.get("thread_ts")
    if root is not None:
        change_session(sandbox, channel.id, root, args.text("session_status") or "active")
    shown = sandbox.state.present(channel, channel.message(ts), metadata=True)
    return {"channel": channel.id, "ts": ts, "message": shown}


def end_streams(sandbox: Sandbox, channel: Channel, thread_ts: str) -> list[str]:
    """Ends every open stream of a thread because a person pressed Stop; returns their ts."""
    ended = []
    for ts in [thread_ts, *channel.threads.get(thread_ts, [])]:
        message = channel.messages.get(ts, {})
        if message.get("streaming_state") != "in_progress":
            continue
        changes = {"streaming_state": "stopped_by_user", "_stream": None}
        sandbox.messages.edit(channel, ts, changes, editor=message["user"], silent=True)
        ended.append(ts)
    return ended


def _streaming(sandbox: Sandbox, caller: Caller, args: Args) -> tuple[Channel, Json]:
    channel = joined_channel(sandbox, caller, args.required("channel"))
    message = channel.message(args.required("ts"))
    if message["user"] != caller.user:
        raise SlackError("message_not_owned_by_app")
    state = message.get("streaming_state")
    if state == "stopped_by_user":
        raise SlackError("stopped_by_user")
    if state != "in_progress" or stream_expired(sandbox, message):
        raise SlackError("message_not_in_streaming_state")
    return channel, message


def _grow(stream: Json, args: Args) -> None:
    markdown = args.text("markdown_text")
    if markdown is not None and len(markdown) > MAX_MARKDOWN:
        raise SlackError("msg_too_long")
    stream["text"] += markdown or ""
    chunks = args.json("chunks", "invalid_chunks") or []
    if not isinstance(chunks, list):
        raise SlackError("invalid_chunks")
    for chunk in chunks:
        if not isinstance(chunk, dict):
            raise SlackError("invalid_chunks")
        _take_chunk(stream, chunk)
    if len(stream["blocks"]) > 50:
        raise SlackError("msg_blocks_too_many")


def _take_chunk(stream: Json, chunk: Json) -> None:
    kind = chunk.get("type")
    if kind == "markdown_text" and isinstance(chunk.get("text"), str):
        if len(chunk["text"]) > MAX_MARKDOWN:
            raise SlackError("msg_too_long")
        stream["text"] += chunk["text"]
    elif kind == "task_update" and chunk.get("id") and chunk.get("status") in _TASK_STATUS:
        task = stream["tasks"].setdefault(chunk["id"], {"type": "task_card"})
        task |= {("task_id" if k == "id" else k): v for k, v in chunk.items() if k != "type"}
    elif kind == "plan_update" and chunk.get("title"):
        stream["plan"] = chunk["title"]
    elif kind == "blocks":
        stream["blocks"] += check_message_blocks(chunk.get("blocks"))
    else:
        raise SlackError("invalid_chunks")


def _blocks(stream: Json) -> list[Json]:
    tasks = [{"block_id": f"task-{task_id}", **task} for task_id, task in stream["tasks"].items()]
    blocks: list[Json] = []
    if tasks and (stream["mode"] == "plan" or stream["plan"]):
        title = stream["plan"] or "Plan"
        blocks.append({"type": "plan", "block_id": "plan", "title": title, "tasks": tasks})
    else:
        blocks += tasks
    if stream["text"]:
        blocks.append({"type": "markdown", "block_id": "answer", "text": stream["text"]})
    return [*blocks, *stream["blocks"]]
