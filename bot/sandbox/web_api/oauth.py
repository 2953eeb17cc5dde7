"""oauth.v2.access, auth.revoke, apps.uninstall: tokens come and go."""

from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.web_api.call import Args, Caller, method


def require_client(sandbox: Sandbox, args: Args) -> None:
    """Checks which app calls.

    Raises:
        SlackError: `invalid_client_id` or `bad_client_secret`.
    """
    space = sandbox.state.workspace
    if args.text("client_id") != space.client_id:
        raise SlackError("invalid_client_id")
    if args.text("client_secret") != space.client_secret:
        raise SlackError("bad_client_secret")


@method("oauth.v2.access")
def access(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Exchanges a code, or a refresh token, for a bot token."""
    require_client(sandbox, args)
    space = sandbox.state.workspace
    answer: Json = {
        "app_id": space.app_id,
        "bot_user_id": space.bot_user_id,
        "team": {"id": space.team_id, "name": space.team_name},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    kind = args.text("grant_type") or "authorization_code"
    if kind == "refresh_token":
        return answer | sandbox.installation.refresh(args.text("refresh_token") or "")
    if kind != "authorization_code":
        raise SlackError("invalid_grant_type")
    code, redirect_uri = args.text("code") or "", args.text("redirect_uri") or ""
    grant, token = sandbox.installation.exchange(code, redirect_uri)
    return answer | token | {"authed_user": {"id": grant.user}}


@method("auth.revoke")
def revoke(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Ends the app's tokens; `test` only says what would happen."""
    if not caller.is_app:
        raise SlackError("not_allowed_token_type")
    if args.flag("test"):
        return {"revoked": False}
    sandbox.revoke_tokens()
    return {"revoked": True}


@method("apps.uninstall")
def uninstall(sandbox: Sandbox, caller: Caller, args: Args) -> Json:
    """Takes the app out of the workspace."""
    require_client(sandbox, args)
    if not caller.is_app:
        raise SlackError("not_allowed_token_type")
    sandbox.uninstall()
    return {}
