"""Methods of the `reactions` family."""

import re

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.web_api.call import Args, Caller, joined_channel, method

_NAME = re.compile(r"^[a-z0-9_+'-]+(::skin-tone-[2-6])?$")


def reaction_name(args: Args) -> str:
    """Returns the emoji name without colons.

    Raises:
        SlackError: `invalid_name`.
    """
    name = args.required("name").strip(":")
    if not _NAME.match(name):
        raise SlackError("invalid_name")
    return name


@method("reactions.add")
def add(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Adds a reaction as the caller."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    name = reaction_name(args)
    sandbox.messages.react(channel, args.required("timestamp"), user=caller.user, name=name)
    return {}


@method("reactions.remove")
def remove(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Removes the caller's reaction."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    name = reaction_name(args)
    sandbox.messages.unreact(channel, args.required("timestamp"), user=caller.user, name=name)
    return {}


@method("reactions.get")
def get(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Returns a message with its reactions."""
    channel = joined_channel(sandbox, caller, args.required("channel"))
    message = channel.message(args.required("timestamp"))
    shown = sandbox.state.present(channel, message)
    return {"type": "message", "channel": channel.id, "message": shown}
