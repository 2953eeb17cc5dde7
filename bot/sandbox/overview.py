"""What one person sees of the workspace: the page's first load."""

from dataclasses import asdict

from bot.sandbox.core import Sandbox
from bot.sandbox.jsontypes import Json
from bot.sandbox.state import Channel


def sees(channel: Channel, user: str) -> bool:
    """Returns whether a person may read a conversation."""
    return channel.kind == "channel" or user in channel.members


def overview(sandbox: Sandbox, user: str | None) -> Json:
    """Returns people, conversations, groups and what the app shows.

    Args:
        sandbox: The workspace.
        user: Limit conversations and views to what this person sees; None shows everything.
    """
    state = sandbox.state
    space = state.workspace
    if user is not None:
        state.user(user)
    channels = [
        {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "purpose": channel.purpose,
            "members": channel.members,
            "latest": next(reversed(channel.messages), None),
        }
        for channel in state.channels.values()
        if user is None or sees(channel, user)
    ]
    ids = {channel["id"] for channel in channels}
    views = sandbox.interactivity.views
    return {
        "seq": sandbox.feed.seq,
        "now": state.now_s(),
        "team": {"id": space.team_id, "name": space.team_name},
        "app": {"id": space.app_id, "name": space.app_name, "user": space.bot_user_id},
        **sandbox.standing,
        "users": list(state.users.values()),
        "groups": list(state.groups.values()),
        "channels": channels,
        "shortcuts": [asdict(shortcut) for shortcut in space.shortcuts],
        "commands": [asdict(command) for command in space.commands],
        "statuses": [row for row in sandbox.presence.current() if row["channel"] in ids],
        "prompts": {key: row for key, row in sandbox.presence.prompts.items() if key in ids},
        "modal": views.top(user) if user else None,
        "home": views.home(user) if user else None,
    }


def messages_of(
    sandbox: Sandbox,
    channel: Channel,
    *,
    thread_ts: str | None,
    after: str | None,
    user: str | None,
) -> list[Json]:
    """Returns messages oldest first, with the reader's ephemeral ones mixed in.

    Args:
        sandbox: The workspace.
        channel: The conversation.
        thread_ts: Only this thread, root included; None gives what stands outside threads.
        after: Only messages later than this ts.
        user: Whose ephemeral messages to include; None for none.
    """
    state = sandbox.state
    if thread_ts is None:
        chosen = [
            message
            for message in channel.messages.values()
            if message.get("thread_ts", message["ts"]) == message["ts"]
            or message.get("subtype") == "thread_broadcast"
        ]
    else:
        wanted = [thread_ts, *channel.threads.get(thread_ts, [])]
        chosen = [channel.messages[ts] for ts in wanted if ts in channel.messages]
    if user is not None:
        chosen += [
            message
            for message in state.ephemerals.values()
            if message["_reader"] == user
            and message["channel"] == channel.id
            and message.get("thread_ts") == thread_ts
        ]
        chosen.sort(key=lambda message: str(message["ts"]))
    return [
        state.present(channel, message, metadata=True)
        for message in chosen
        if after is None or message["ts"] > after
    ]
