"""users.*, usergroups.*, team.info, bots.info, auth.test, apps.connections.open."""

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.socket_mode import require_app_token
from bot.sandbox.web_api.call import Args, Caller, method, page


@method("auth.test")
def auth_test(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Says whose token it is."""
    space = sandbox.state.workspace
    answer = {
        "url": f"{sandbox.interactivity.base_url}/",
        "team": space.team_name,
        "user": sandbox.state.user(caller.user)["name"],
        "team_id": space.team_id,
        "user_id": caller.user,
        "is_enterprise_install": False,
    }
    return answer | ({"bot_id": space.bot_id, "app_id": space.app_id} if caller.is_app else {})


@method("apps.connections.open")
def connections_open(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Returns a single-use WebSocket URL for Socket Mode."""
    if caller.kind != "app":
        require_app_token("xoxb-" if caller.is_app else "xoxp-", "")
    if sandbox.http_mode is not None:
        raise SlackError("socket_mode_disabled")
    base = sandbox.interactivity.base_url.replace("http", "ws", 1)
    app_id = sandbox.state.workspace.app_id
    return {"url": f"{base}/link?ticket={sandbox.socket_mode.ticket()}&app_id={app_id}"}


@method("team.info")
def team_info(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Describes the workspace."""
    space = sandbox.state.workspace
    team = {"id": space.team_id, "name": space.team_name, "domain": space.domain,
            "email_domain": "", "icon": {}}  # fmt: skip
    return {"team": team}


@method("bots.info")
def bots_info(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Describes the app's bot."""
    space = sandbox.state.workspace
    if args.text("bot") not in {None, space.bot_id}:
        raise SlackError("bot_not_found")
    bot = {"id": space.bot_id, "app_id": space.app_id, "user_id": space.bot_user_id,
           "name": space.app_name, "deleted": False, "updated": 0, "icons": {}}  # fmt: skip
    return {"bot": bot}


@method("users.info")
def users_info(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Describes a member."""
    return {"user": sandbox.state.user(args.required("user"))}


@method("users.list")
def users_list(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Lists the members."""
    shown, cursor = page(list(sandbox.state.users.values()), args, 1000, 1000)
    return {
        "members": shown,
        "cache_ts": sandbox.state.now_s(),
        "response_metadata": {"next_cursor": cursor},
    }


@method("users.conversations")
def users_conversations(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Lists the channels a member is in."""
    user = args.text("user") or caller.user
    rows = [
        {"id": channel.id, "name": channel.name, "is_private": channel.kind == "group"}
        for channel in sandbox.state.channels.values()
        if channel.kind != "im" and user in channel.members
    ]
    shown, cursor = page(rows, args, 100, 1000)
    return {"channels": shown, "response_metadata": {"next_cursor": cursor}}


@method("usergroups.list")
def usergroups_list(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Lists the user groups."""
    team_id = sandbox.state.workspace.team_id
    rows = []
    for group in sandbox.state.groups.values():
        row = {**group, "team_id": team_id, "is_usergroup": True, "user_count": len(group["users"])}
        if not args.flag("include_users"):
            del row["users"]
        rows.append(row)
    return {"usergroups": rows}


@method("usergroups.users.list")
def usergroups_users_list(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Lists the members of a user group."""
    group = sandbox.state.groups.get(args.required("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": group["users"]}
