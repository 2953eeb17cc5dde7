"""assistant.threads.* and agents.sessions.*: what the app says between messages."""

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.web_api.call import Args, Caller, joined_channel, method

MAX_TITLE = 200
_SESSION = {"processing", "active", "suspended", "closed"}


@method("assistant.threads.setStatus")
def set_status(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Shows `App status…` under a thread; an empty status clears it."""
    channel = joined_channel(sandbox, caller, args.required("channel_id"))
    thread_ts = args.required("thread_ts")
    if thread_ts not in channel.messages:
        raise SlackError("invalid_thread_ts")
    loading = args.json("loading_messages") or []
    if len(loading) > 10:
        raise SlackError("invalid_arguments")
    status = {"status": args.text("status") or "", "loading_messages": loading}
    sandbox.feed.append("status", **sandbox.presence.set_status(channel.id, thread_ts, status))
    return {}


@method("assistant.threads.setSuggestedPrompts")
def set_suggested_prompts(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Offers up to four prompts in the direct conversation."""
    channel = joined_channel(sandbox, caller, args.required("channel_id"))
    prompts = args.json("prompts") or []
    if not 1 <= len(prompts) <= 4 or not all(p.get("title") and p.get("message") for p in prompts):
        raise SlackError("invalid_arguments")
    offer = {"title": args.text("title") or "", "prompts": prompts}
    sandbox.presence.prompts[channel.id] = offer
    sandbox.feed.append("prompts", channel=channel.id, **offer)
    return {}


@method("assistant.threads.setTitle")
def set_title(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Names a thread."""
    channel = joined_channel(sandbox, caller, args.required("channel_id"))
    thread_ts = args.required("thread_ts")
    title = args.required("title")
    if thread_ts not in channel.messages:
        raise SlackError("invalid_thread_ts")
    session = sandbox.presence.sessions.setdefault((channel.id, thread_ts), {"status": "active"})
    session["title"] = title[:MAX_TITLE]
    _tell(sandbox, channel.id, thread_ts)
    return {}


@method("agents.sessions.setStatus")
def set_session_status(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Creates a session or moves it; `title` and the initiator count only on creation."""
    channel = joined_channel(sandbox, caller, args.required("channel_id"))
    status = args.required("status")
    if status not in _SESSION:
        raise SlackError("invalid_arguments")
    thread_ts = args.text("thread_ts") or ""
    if thread_ts and thread_ts not in channel.messages:
        raise SlackError("invalid_thread_ts")
    initiator = args.text("initiator_user_id")
    if initiator is not None and initiator not in channel.members:
        raise SlackError("user_not_in_channel")
    title = (args.text("title") or "")[:MAX_TITLE]
    session = change_session(sandbox, channel.id, thread_ts, status, title=title)
    return {"session": session}


@method("agents.sessions.rename")
def rename_session(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Renames a session."""
    channel = joined_channel(sandbox, caller, args.required("channel_id"))
    session = sandbox.presence.sessions.get((channel.id, args.text("thread_ts") or ""))
    if session is None:
        raise SlackError("session_not_found")
    session["title"] = args.required("title")[:MAX_TITLE]
    _tell(sandbox, channel.id, args.text("thread_ts") or "")
    return {"session": session}


def change_session(
    sandbox: Sandbox, channel_id: str, thread_ts: str, status: str, *, title: str = ""
) -> Json:
    """Moves the session of a thread, creating it if needed; the status line follows it."""
    key = (channel_id, thread_ts)
    session = sandbox.presence.sessions.setdefault(key, {"title": title})
    session["status"] = status
    words = "is working…" if status == "processing" else ""
    shown = {"status": words, "session": status}
    sandbox.feed.append("status", **sandbox.presence.set_status(channel_id, thread_ts, shown))
    return session


def _tell(sandbox: Sandbox, channel_id: str, thread_ts: str) -> None:
    sandbox.feed.append("status", **sandbox.presence.describe(channel_id, thread_ts))
