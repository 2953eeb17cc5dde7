"""conversations.*: channels, direct conversations, history."""

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.state import Channel
from bot.sandbox.web_api.call import (
    Args,
    Caller,
    joined_channel,
    method,
    page,
    visible_channel,
)

_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im"}


def describe(sandbox: Sandbox, caller: Caller, channel: Channel) -> Json:
    """Returns a conversation object as the caller sees it."""
    space = sandbox.state.workspace
    shown: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": False,
        "is_im": channel.kind == "im",
        "is_channel": channel.kind == "channel",
        "is_group": channel.kind == "group",
        "is_mpim": False,
        "is_private": channel.kind != "channel",
        "context_team_id": space.team_id,
    }
    if channel.kind == "im":
        others = [member for member in channel.members if member != caller.user]
        return {**shown, "user": others[0], "is_open": True}
    return {
        **shown,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_general": channel.name == "general",
        "is_member": caller.user in channel.members,
        "creator": channel.members[0] if channel.members else "",
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
        "num_members": len(channel.members),
    }


@method("conversations.list")
def list_(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Lists public conversations and the caller's private and direct ones."""
    wanted = (args.text("types") or "public_channel").split(",")
    kinds = {_TYPES[kind.strip()] for kind in wanted if kind.strip() in _TYPES}
    rows = [
        describe(sandbox, caller, channel)
        for channel in sandbox.state.channels.values()
        if channel.kind in kinds and (channel.kind == "channel" or caller.user in channel.members)
    ]
    shown, cursor = page(rows, args, 100, 1000)
    return {"channels": shown, "response_metadata": {"next_cursor": cursor}}


@method("conversations.info")
def info(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Describes one conversation."""
    channel = visible_channel(sandbox, caller, args.required("channel"))
    return {"channel": describe(sandbox, caller, channel)}


@method("conversations.open")
def open_(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Opens the direct conversation with one person."""
    channel_id = args.text("channel")
    if channel_id is not None:
        channel = visible_channel(sandbox, caller, channel_id)
        return {"no_op": True, "already_open": True, "channel": {"id": channel.id}}
    users = [user for user in (args.text("users") or "").split(",") if user]
    if not users:
        raise SlackError("users_list_not_supplied")
    if len(users) > 1:
        raise SlackError("method_not_supported_for_channel_type")
    channel, existed = sandbox.state.open_im(caller.user, users[0])
    shown = describe(sandbox, caller, channel) if args.flag("return_im") else {"id": channel.id}
    return {"no_op": existed, "already_open": existed, "channel": shown}


@method("conversations.members")
def members(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Lists the members of a conversation."""
    channel = visible_channel(sandbox, caller, args.required("channel"))
    shown, cursor = page(channel.members, args, 100, 1000)
    return {"members": shown, "response_metadata": {"next_cursor": cursor}}


@method("conversations.join")
def join(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Joins a public channel."""
    channel = visible_channel(sandbox, caller, args.required("channel"))
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    if caller.user in channel.members:
        shown = describe(sandbox, caller, channel)
        return {"channel": shown, "warning": "already_in_channel"}
    add_member(sandbox, channel, caller.user)
    return {"channel": describe(sandbox, caller, channel)}


def add_member(sandbox: Sandbox, channel: Channel, user: str) -> None:
    """Adds a member and tells the app."""
    channel.members.append(user)
    sandbox.state.put_channel(channel)
    sandbox.events.joined(channel, user=user)
    sandbox.feed.append("channel", channel=channel.id)


@method("conversations.history")
def history(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Returns messages outside threads, newest first."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    rows = [
        message
        for message in reversed(channel.messages.values())
        if _in_channel(message) and _within(message, args)
    ]
    return _messages(sandbox, channel, rows, args)


@method("conversations.replies")
def replies(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Returns a thread: its root, then the replies, oldest first."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    named = channel.messages.get(args.required("ts"))
    if named is None:
        raise SlackError("thread_not_found")
    root = channel.messages.get(str(named.get("thread_ts", named["ts"])))
    if root is None:
        raise SlackError("thread_not_found")
    answers = [channel.messages[ts] for ts in channel.threads.get(root["ts"], [])]
    rows = [root, *(message for message in answers if _within(message, args))]
    return _messages(sandbox, channel, rows, args)


def _messages(sandbox: Sandbox, channel: Channel, rows: list[Json], args: Args) -> Json:
    shown, cursor = page(rows, args, 100, 1000)
    metadata = args.flag("include_all_metadata")
    answer: Json = {
        "messages": [
            sandbox.state.present(channel, message, metadata=metadata) for message in shown
        ],
        "has_more": bool(cursor),
    }
    if cursor:
        answer["response_metadata"] = {"next_cursor": cursor}
    return answer


def _in_channel(message: Json) -> bool:
    is_root = message.get("thread_ts", message["ts"]) == message["ts"]
    return is_root or message.get("subtype") == "thread_broadcast"


def _within(message: Json, args: Args) -> bool:
    ts = message["ts"]
    oldest, latest = args.ts("oldest"), args.ts("latest")
    if args.flag("inclusive"):
        return (oldest is None or ts >= oldest) and (latest is None or ts <= latest)
    return (oldest is None or ts > oldest) and (latest is None or ts < latest)
