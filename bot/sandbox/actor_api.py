"""`/sandbox/...`: what people do in the workspace, for the page and for simulated people.

Everything here acts as the user id it is given: the server listens on 127.0.0.1 only, and
`guard` keeps other web sites out.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from bot.sandbox.core import Sandbox
from bot.sandbox.delivery import Ack
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import Json
from bot.sandbox.messages import Draft
from bot.sandbox.overview import messages_of, overview, sees
from bot.sandbox.state import Channel
from bot.sandbox.triggers import Trigger
from bot.sandbox.web_api.call import Args
from bot.sandbox.web_api.conversations import add_member
from bot.sandbox.web_api.reactions import reaction_name
from bot.sandbox.workspace import Workspace
from feedback.errors import InvalidInputError

Action = Callable[[Args], Awaitable[Json]]

MAX_LONG_POLL_S = 60.0
MAX_TYPED = 12_000


class ActorApi:
    """Routes of the people."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        """Returns every route under `/sandbox`."""
        reads: dict[str, Action] = {
            "state": self._state,
            "messages": self._messages,
            "views": self._views,
            "feed": self._feed,
            "deliveries": self._deliveries,
            "connected": self._connected,
            "settled": self._settled,
        }
        writes: dict[str, Action] = {
            "messages": self._post,
            "messages/edit": self._edit,
            "messages/delete": self._delete,
            "reactions": self._react,
            "actions": self._act,
            "views/actions": self._act_in_view,
            "views/submit": self._submit,
            "views/close": self._close,
            "dm": self._open_dm,
            "join": self._join,
            "shortcuts": self._shortcut,
            "commands": self._command,
            "reset": self._reset,
        }
        return [
            *(web.get(f"/sandbox/{path}", self.answer(act)) for path, act in reads.items()),
            *(web.post(f"/sandbox/{path}", self.answer(act)) for path, act in writes.items()),
        ]

    def answer(self, act: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Returns a request handler that runs `act`, commits, and answers in JSON."""

        async def handle(request: web.Request) -> web.Response:
            status = 200
            try:
                values = await _arguments(request)
                body = {"ok": True, **await act(Args(values))}
            except SlackError as exc:
                status, body = 400, {"ok": False, "error": exc.code, **exc.details}
            except InvalidInputError as exc:
                status = 400
                body = {"ok": False, "error": "invalid_arguments", "message": str(exc)}
            self._sandbox.commit()
            return web.json_response(body, status=status)

        return handle

    async def _state(self, args: Args) -> Json:
        return overview(self._sandbox, args.text("user"))

    async def _messages(self, args: Args) -> Json:
        channel = self._sandbox.state.channel(args.required("channel"))
        user = args.text("user")
        if user is not None and not sees(channel, user):
            raise SlackError("channel_not_found")
        shown = messages_of(
            self._sandbox,
            channel,
            thread_ts=args.text("thread_ts"),
            after=args.text("after"),
            user=user,
        )
        return {"messages": shown[-args.integer("limit", 500) :], "seq": self._sandbox.feed.seq}

    async def _views(self, args: Args) -> Json:
        views = self._sandbox.interactivity.views
        user = args.required("user")
        return {"modal": views.top(user), "home": views.home(user)}

    async def _feed(self, args: Args) -> Json:
        timeout_s = min(float(args.text("timeout") or 25), MAX_LONG_POLL_S)
        since = args.integer("since", self._sandbox.feed.seq)
        user = args.text("user")
        entries, reset = await self._sandbox.feed.wait(since, timeout_s)
        seq = entries[-1]["seq"] if entries else (self._sandbox.feed.seq if reset else since)
        if user is not None:
            entries = [entry for entry in entries if self._may_see(user, entry)]
        return {"seq": seq, "reset": reset, "entries": entries}

    def _may_see(self, user: str, entry: Json) -> bool:
        channel = self._sandbox.state.channels.get(entry.get("channel", ""))
        return entry.get("only_for") in {None, user} and (channel is None or sees(channel, user))

    async def _connected(self, args: Args) -> Json:
        await self._sandbox.delivery.transport.ready()
        return {}

    async def _settled(self, args: Args) -> Json:
        await self._sandbox.delivery.settled()
        return {}

    async def _deliveries(self, args: Args) -> Json:
        delivery = self._sandbox.delivery
        return {
            "connections": self._sandbox.socket_mode.count,
            "pending": len(delivery.pending),
            "published": delivery.counts.published,
            "acknowledged": delivery.counts.acknowledged,
            "redelivered": delivery.counts.redelivered,
            "given_up": delivery.counts.given_up,
            "given_up_events": list(delivery.given_up),
            "calls": self._sandbox.faults.calls,
        }

    async def _post(self, args: Args) -> Json:
        user = self.person(args)
        channel = self.joined(user, args)
        text = _typed(args)
        draft = Draft(
            user=user,
            text=text,
            thread_ts=args.text("thread_ts"),
            broadcast=args.flag("broadcast"),
        )
        message = self._sandbox.messages.post(channel, draft)
        return {
            "channel": channel.id,
            "ts": message["ts"],
            "message": self._sandbox.state.present(channel, message),
        }

    async def _edit(self, args: Args) -> Json:
        user, channel, ts = self._own_message(args)
        changes = {"text": _typed(args), "blocks": None}
        message = self._sandbox.messages.edit(channel, ts, changes, editor=user)
        return {"message": self._sandbox.state.present(channel, message)}

    async def _delete(self, args: Args) -> Json:
        _, channel, ts = self._own_message(args)
        self._sandbox.messages.delete(channel, ts)
        return {}

    async def _react(self, args: Args) -> Json:
        user = self.person(args)
        channel = self.joined(user, args)
        change = self._sandbox.messages.react
        if args.has("present") and not args.flag("present"):
            change = self._sandbox.messages.unreact
        change(channel, args.required("ts"), user=user, name=reaction_name(args))
        return {}

    async def _act(self, args: Args) -> Json:
        user = self.person(args)
        answer, trigger = await self._sandbox.interactivity.act_on_message(
            user=user,
            channel=self.joined(user, args),
            ts=args.required("ts"),
            find={"action_id": args.text("action_id"), "block_id": args.text("block_id")},
            value=args.json_or_text("value"),
        )
        return await self._outcome(answer, trigger, args)

    async def _act_in_view(self, args: Args) -> Json:
        user = self.person(args)
        answer, trigger = await self._sandbox.interactivity.act_in_view(
            user=user,
            view=self._view(user, args),
            find={"action_id": args.text("action_id"), "block_id": args.text("block_id")},
            value=args.json_or_text("value"),
            values=args.json("values") or {},
        )
        return await self._outcome(answer, trigger, args)

    async def _submit(self, args: Args) -> Json:
        user = self.person(args)
        return await self._sandbox.interactivity.submit(
            user=user, view=self._view(user, args), values=args.json("values") or {}
        )

    async def _close(self, args: Args) -> Json:
        user = self.person(args)
        view = self._view(user, args)
        await self._sandbox.interactivity.close(user=user, view=view, cleared=args.flag("cleared"))
        return {"view": self._sandbox.interactivity.views.top(user)}

    async def _open_dm(self, args: Args) -> Json:
        user = self.person(args)
        other = args.text("with") or self._sandbox.state.workspace.bot_user_id
        channel, existed = self._sandbox.state.open_im(user, other)
        if not existed:
            self._sandbox.feed.append("channel", channel=channel.id)
        return {"channel": channel.id}

    async def _join(self, args: Args) -> Json:
        user = self.person(args)
        channel = self._sandbox.state.channel(args.required("channel"))
        if channel.kind != "channel":
            raise SlackError("method_not_supported_for_channel_type")
        if user not in channel.members:
            add_member(self._sandbox, channel, user)
        return {"channel": channel.id}

    async def _shortcut(self, args: Args) -> Json:
        user = self.person(args)
        answer, trigger = await self._sandbox.interactivity.message_shortcut(
            user=user,
            channel=self.joined(user, args),
            ts=args.required("ts"),
            callback_id=args.required("callback_id"),
        )
        return await self._outcome(answer, trigger, args)

    async def _command(self, args: Args) -> Json:
        user = self.person(args)
        channel = self.joined(user, args)
        answer, trigger = await self._sandbox.interactivity.slash_command(
            user=user,
            channel=channel,
            command=args.required("command"),
            text=args.text("text") or "",
        )
        reply = answer.payload if isinstance(answer, Ack) else None
        if reply and (reply.get("text") or reply.get("blocks")):
            self._sandbox.interactivity.reply(channel, user, reply)
        return {**await self._outcome(answer, trigger, args), "response": reply}

    async def _reset(self, args: Args) -> Json:
        seed = args.json("workspace")
        self._sandbox.reset(Workspace.from_json(seed) if seed else None)
        return {"seq": self._sandbox.feed.seq}

    async def _outcome(self, answer: Ack | str, trigger: Trigger, args: Args) -> Json:
        self._sandbox.commit()
        wait_s = float(args.text("wait_view_s") or 0)
        acked = isinstance(answer, Ack)
        opened = trigger.opened.is_set()
        if acked and wait_s > 0 and not opened:
            try:
                await asyncio.wait_for(trigger.opened.wait(), wait_s)
                opened = True
            except TimeoutError:
                opened = False
        top = self._sandbox.interactivity.views.top(trigger.user)
        return {
            "acked": acked,
            "reason": "" if acked else answer,
            "opened": opened,
            "view": top,
        }

    def person(self, args: Args) -> str:
        """Returns who acts.

        Raises:
            SlackError: `user_not_found`.
            InvalidInputError: It is the app.
        """
        user = self._sandbox.state.user(args.required("user"))
        if user["is_bot"]:
            raise InvalidInputError(f"{user['id']} is the app; act as one of the people")
        return str(user["id"])

    def joined(self, user: str, args: Args) -> Channel:
        """Returns the named conversation.

        Raises:
            SlackError: `channel_not_found`, or `not_in_channel` when the person is not in it.
        """
        channel = self._sandbox.state.channel(args.required("channel"))
        if user not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def _own_message(self, args: Args) -> tuple[str, Channel, str]:
        user = self.person(args)
        channel = self.joined(user, args)
        ts = args.required("ts")
        if channel.message(ts)["user"] != user:
            raise SlackError("cant_update_message")
        return user, channel, ts

    def _view(self, user: str, args: Args) -> Json:
        top = self._sandbox.interactivity.views.top(user)
        view_id = args.text("view_id") or (top["id"] if top else None)
        view = self._sandbox.interactivity.views.find(view_id)
        if view["_owner"] != user:
            raise SlackError("not_found")
        return view


def _typed(args: Args) -> str:
    text = args.required("text")
    if len(text) > MAX_TYPED:
        raise SlackError("msg_too_long")
    return text


async def _arguments(request: web.Request) -> Json:
    if request.method == "GET":
        return dict(request.query)
    if request.content_type != "application/json":
        raise InvalidInputError("send JSON with Content-Type: application/json")
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as exc:
        raise InvalidInputError(f"the body is no JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise InvalidInputError("the body is no JSON object")
    return body
