"""`/sandbox/groups`, `/sandbox/revoke`, `/sandbox/uninstall`: what an admin changes."""

from aiohttp import web

from bot.sandbox.actor_api import ActorApi
from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.web_api.call import Args
from feedback.errors import InvalidInputError


class WorkspaceApi:
    """Routes of the workspace's settings; everybody may use them here."""

    def __init__(self, sandbox: Sandbox, actors: ActorApi) -> None:
        self._sandbox = sandbox
        self._actors = actors

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes of groups and of the app's installation."""
        acts = {"groups": self._set_group, "revoke": self._revoke, "uninstall": self._uninstall}
        return [
            web.post(f"/sandbox/{path}", self._actors.answer(act)) for path, act in acts.items()
        ]

    async def _set_group(self, args: Args) -> Json:
        """Replaces the members of a user group, named by id or handle."""
        named = args.required("group").removeprefix("@")
        state = self._sandbox.state
        group = next((g for g in state.groups.values() if named in {g["id"], g["handle"]}), None)
        if group is None:
            raise SlackError("no_such_subteam")
        users = args.json("users")
        if not isinstance(users, list):
            raise InvalidInputError("users must be a list of user ids")
        members = list(dict.fromkeys(state.user(str(user))["id"] for user in users))
        before = state.set_group(group["id"], members)
        self._sandbox.events.group_changed(group, before)
        self._sandbox.feed.append("group", group=group)
        return {"group": group}

    async def _revoke(self, args: Args) -> Json:
        self._sandbox.revoke_tokens()
        return {"installed": self._sandbox.installation.installed}

    async def _uninstall(self, args: Args) -> Json:
        self._sandbox.uninstall()
        return {"installed": self._sandbox.installation.installed}
