"""What people do with the app itself: open its tabs, look elsewhere beside it, press Stop."""

from aiohttp import web

from bot.sandbox.actor_api import ActorApi
from bot.sandbox.core import Sandbox
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.overview import sees
from bot.sandbox.web_api.call import Args
from bot.sandbox.web_api.streams import end_streams
from feedback.errors import InvalidInputError


class AgentApi:
    """Routes of the app's conversation."""

    def __init__(self, sandbox: Sandbox, actors: ActorApi) -> None:
        self._sandbox = sandbox
        self._actors = actors

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes of the app's tabs, its surroundings and its Stop button."""
        acts = {"home": self._open_home, "context": self._look_at, "stop": self._stop}
        return [
            web.post(f"/sandbox/{path}", self._actors.answer(act)) for path, act in acts.items()
        ]

    async def _open_home(self, args: Args) -> Json:
        user = self._actors.person(args)
        tab = args.text("tab") or "home"
        if tab not in {"home", "messages"}:
            raise InvalidInputError(f"unknown tab {tab!r}; use home or messages")
        bot = self._sandbox.state.workspace.bot_user_id
        channel, _ = self._sandbox.state.open_im(user, bot)
        home = self._sandbox.interactivity.views.home(user)
        self._sandbox.events.home_opened(channel, user=user, tab=tab, view=home)
        return {"channel": channel.id, "home": home}

    async def _look_at(self, args: Args) -> Json:
        """The person has a channel, or nothing, on screen beside the app."""
        user = self._actors.person(args)
        state = self._sandbox.state
        bot = state.workspace.bot_user_id
        conversation, _ = state.open_im(user, bot)
        seen: list[Json] = []
        if args.text("channel") is not None:
            channel = state.channel(args.required("channel"))
            if not sees(channel, user):
                raise SlackError("channel_not_found")
            team = state.workspace.team_id
            seen.append({"type": "slack#/types/channel_id", "value": channel.id, "team_id": team})
        self._sandbox.events.context_changed(conversation, user=user, seen=seen)
        return {"channel": conversation.id, "entities": seen}

    async def _stop(self, args: Args) -> Json:
        user = self._actors.person(args)
        channel = self._actors.joined(user, args)
        thread_ts = args.required("thread_ts")
        streams = end_streams(self._sandbox, channel, thread_ts)
        self._sandbox.events.session_stopped(
            channel, thread_ts=thread_ts, user=user, streams=streams
        )
        return {"streams": streams}
