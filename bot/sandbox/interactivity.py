"""People press buttons, submit modals, use shortcuts and commands; the app answers."""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.sandbox.blocks import check_message_blocks
from bot.sandbox.delivery import Ack, Delivery
from bot.sandbox.errors import SlackError
from bot.sandbox.feed import Feed
from bot.sandbox.forms import action_of, elements, form_state, missing
from bot.sandbox.jsontypes import Json, JsonValue
from bot.sandbox.messages import Draft, Messages
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.state import Channel, State
from bot.sandbox.triggers import Trigger, Triggers
from bot.sandbox.view_stack import ViewStack

RESPONSE_URL_LIFE_S = 1800.0


@dataclass(kw_only=True)
class ResponseUrl:
    """Where the app may answer an interaction without a token: five times, for 30 minutes.

    Attributes:
        expires: Real time, in seconds of a monotonic clock.
    """

    channel: str
    user: str
    message_ts: str | None
    thread_ts: str | None
    expires: float
    uses_left: int = 5


@dataclass(kw_only=True)
class Interactivity:
    """Turns gestures into payloads and the app's acks into what happens on the screen."""

    state: State
    feed: Feed
    messages: Messages
    delivery: Delivery
    settings: SandboxSettings
    installed: Callable[[], bool]
    base_url: str = ""
    response_urls: dict[str, ResponseUrl] = field(default_factory=dict)
    triggers: Triggers = field(init=False)
    views: ViewStack = field(init=False)

    def __post_init__(self) -> None:
        self.triggers = Triggers(self.settings.trigger_life_s)
        self.views = ViewStack(self.state, self.feed)

    async def act_on_message(
        self, *, user: str, channel: Channel, ts: str, find: Json, value: JsonValue
    ) -> tuple[Ack | str, Trigger]:
        """A person uses an element of a message.

        Args:
            user: Who.
            channel: Where.
            ts: The message, or an ephemeral message of theirs.
            find: `action_id` and/or `block_id` of the element.
            value: See `forms.action_of`.

        Raises:
            SlackError: `message_not_found` or `action_not_found`.
        """
        ephemeral = self.state.ephemerals.get(ts)
        if ephemeral is not None and ephemeral["_reader"] != user:
            raise SlackError("message_not_found")
        message = ephemeral or channel.message(ts)
        block, element = _find(message.get("blocks", []), find)
        trigger_id, trigger = self.triggers.issue(user)
        container: Json = {
            "type": "message",
            "message_ts": ts,
            "channel_id": channel.id,
            "is_ephemeral": ephemeral is not None,
        }
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        payload = {
            **self._common("block_actions", user, trigger_id),
            "container": container,
            "channel": {"id": channel.id, "name": _channel_name(channel)},
            "message": self.state.present(channel, message),
            "state": {"values": {}},
            "response_url": self._response_url(channel, user, message),
            "actions": [self._action(block, element, value)],
        }
        if ephemeral is not None:
            del payload["message"]
        return await self._send("interactive", payload), trigger

    async def act_in_view(
        self, *, user: str, view: Json, find: Json, value: JsonValue, values: Json
    ) -> tuple[Ack | str, Trigger]:
        """A person uses an element of a modal or of their App Home."""
        block, element = _find(view["blocks"], find)
        in_modal = view["type"] == "modal"
        trigger_id, trigger = self.triggers.issue(user, view["id"] if in_modal else None)
        state = form_state(view, values)
        if block["block_id"] in state["values"]:
            entry = action_of(block, element, value)
            kept = {k: v for k, v in entry.items() if k not in {"action_id", "block_id"}}
            state["values"][block["block_id"]][element["action_id"]] = kept
        payload = {
            **self._common("block_actions", user, trigger_id),
            "container": {"type": "view", "view_id": view["id"]},
            "view": self.views.present(view) | {"state": state},
            "actions": [self._action(block, element, value)],
        }
        return await self._send("interactive", payload), trigger

    async def submit(self, *, user: str, view: Json, values: Json) -> Json:
        """A person submits a modal; returns the outcome.

        Returns:
            `outcome` is `errors`, `closed`, `updated`, `pushed`, `cleared` or `failed`;
            `errors` by block_id; `view` is the modal on top now, if any.
        """
        state = form_state(view, values)
        problems = missing(view, state)
        if problems:
            return {"outcome": "errors", "errors": problems, "view": self.views.present(view)}
        trigger_id, _ = self.triggers.issue(user, view["id"])
        payload = {
            **self._common("view_submission", user, trigger_id),
            "view": self.views.present(view) | {"state": state},
            "response_urls": [],
        }
        answer = await self._send("interactive", payload)
        if not isinstance(answer, Ack):
            return {"outcome": "failed", "reason": answer, "view": self.views.present(view)}
        return self._follow(user, view, answer.payload or {})

    def _follow(self, user: str, view: Json, response: Json) -> Json:
        action = response.get("response_action")
        if action == "errors":
            return {
                "outcome": "errors",
                "errors": response.get("errors", {}),
                "view": self.views.present(view),
            }
        try:
            if action == "update":
                self.views.replace(view, response.get("view") or {})
            elif action == "push":
                self.views.push(user, response.get("view") or {})
            elif action == "clear":
                self.views.clear(user)
            else:
                self.views.close(user, view["id"])
        except SlackError as exc:
            reason = f"the app answered with an unusable view: {exc.code} {exc.details}"
            return {"outcome": "failed", "reason": reason, "view": self.views.top(user)}
        names = {"update": "updated", "push": "pushed", "clear": "cleared"}
        return {"outcome": names.get(str(action), "closed"), "view": self.views.top(user)}

    async def close(self, *, user: str, view: Json, cleared: bool = False) -> None:
        """A person cancels a modal (or, `cleared`, all of them)."""
        if cleared:
            self.views.clear(user)
        else:
            self.views.close(user, view["id"])
        if not view.get("notify_on_close"):
            return
        payload = {
            **self._common("view_closed", user, None),
            "view": self.views.present(view),
            "is_cleared": cleared,
        }
        await self._send("interactive", payload)

    async def message_shortcut(
        self, *, user: str, channel: Channel, ts: str, callback_id: str
    ) -> tuple[Ack | str, Trigger]:
        """A person picks the app's shortcut in the menu of a message."""
        message = channel.message(ts)
        trigger_id, trigger = self.triggers.issue(user)
        payload = {
            **self._common("message_action", user, trigger_id),
            "action_ts": self.state.next_ts(),
            "callback_id": callback_id,
            "channel": {"id": channel.id, "name": _channel_name(channel)},
            "message_ts": ts,
            "message": self.state.present(channel, message),
            "response_url": self._response_url(channel, user, message),
        }
        return await self._send("interactive", payload), trigger

    async def slash_command(
        self, *, user: str, channel: Channel, command: str, text: str
    ) -> tuple[Ack | str, Trigger]:
        """A person runs a slash command; a text in the ack is shown to them alone.

        Raises:
            SlackError: `command_not_found`: the app offers no such command.
        """
        if command not in {known.command for known in self.state.workspace.commands}:
            raise SlackError("command_not_found", {"message": f"{command} is not a valid command."})
        trigger_id, trigger = self.triggers.issue(user)
        space = self.state.workspace
        payload = {
            "token": "sandbox-verification-token",
            "team_id": space.team_id,
            "team_domain": space.domain,
            "channel_id": channel.id,
            "channel_name": _channel_name(channel),
            "user_id": user,
            "user_name": self.state.user(user)["name"],
            "command": command,
            "text": self._named(text),
            "api_app_id": space.app_id,
            "is_enterprise_install": "false",
            "response_url": self._response_url(channel, user, None),
            "trigger_id": trigger_id,
        }
        return await self._send("slash_commands", payload), trigger

    def respond(self, key: str, body: Json) -> str | None:
        """The app answers through a response_url; returns Slack's complaint, if any."""
        target = self.response_urls.get(key)
        if target is None or target.uses_left <= 0:
            return "used_url"
        if time.monotonic() > target.expires:
            return "expired_url"
        target.uses_left -= 1
        try:
            self._answer(target, body)
        except SlackError as exc:
            return exc.code
        return None

    def _answer(self, target: ResponseUrl, body: Json) -> None:
        channel = self.state.channel(target.channel)
        ts = target.message_ts
        if body.get("delete_original") and ts is not None:
            if ts in self.state.ephemerals:
                self.messages.delete_ephemeral(ts)
            else:
                self.messages.delete(channel, ts)
            return
        if body.get("replace_original") and ts in channel.messages:
            blocks = check_message_blocks(body.get("blocks"))
            changes = {"text": body.get("text", ""), "blocks": blocks or None}
            bot = self.state.workspace.bot_user_id
            self.messages.edit(channel, ts, changes, editor=bot)
            return
        if body.get("replace_original") and ts in self.state.ephemerals:
            self.messages.delete_ephemeral(ts)
        self.reply(channel, target.user, body, thread_ts=target.thread_ts)

    def reply(
        self, channel: Channel, user: str, body: Json, *, thread_ts: str | None = None
    ) -> None:
        """Posts what the app answered: to everybody when `in_channel`, else to `user` alone.

        Raises:
            SlackError: There is nothing to show, or a block error.
        """
        if not body.get("text") and not body.get("blocks"):
            raise SlackError("no_text")
        draft = Draft(
            user=self.state.workspace.bot_user_id,
            text=body.get("text", ""),
            is_app=True,
            blocks=check_message_blocks(body.get("blocks")),
            thread_ts=body.get("thread_ts", thread_ts),
        )
        if body.get("response_type") == "in_channel":
            self.messages.post(channel, draft)
        else:
            self.messages.post_ephemeral(channel, draft, reader=user)

    def _named(self, text: str) -> str:
        """Returns a command's text with names beside ids, as `should_escape` has it."""

        def name(match: re.Match[str]) -> str:
            user = self.state.users.get(match.group(1))
            return f"<@{match.group(1)}|{user['name']}>" if user else match.group()

        return re.sub(r"<@([UW][A-Z0-9]+)>", name, text)

    async def _send(self, kind: str, payload: Json) -> Ack | str:
        if not self.installed():
            return "app_not_installed"
        return await self.delivery.interact(kind, payload)

    def _common(self, kind: str, user: str, trigger_id: str | None) -> Json:
        space = self.state.workspace
        person = self.state.user(user)
        common: Json = {
            "type": kind,
            "user": {
                "id": user,
                "username": person["name"],
                "name": person["name"],
                "team_id": space.team_id,
            },
            "api_app_id": space.app_id,
            "token": "sandbox-verification-token",
            "team": {"id": space.team_id, "domain": space.domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }
        if trigger_id is not None:
            common["trigger_id"] = trigger_id
        return common

    def _action(self, block: Json, element: Json, value: JsonValue) -> Json:
        return {**action_of(block, element, value), "action_ts": self.state.next_ts()}

    def _response_url(self, channel: Channel, user: str, message: Json | None) -> str:
        key = secrets.token_hex(12)
        if len(self.response_urls) > 5000:
            self.response_urls.pop(next(iter(self.response_urls)))
        self.response_urls[key] = ResponseUrl(
            channel=channel.id,
            user=user,
            message_ts=message["ts"] if message else None,
            thread_ts=message.get("thread_ts") if message else None,
            expires=time.monotonic() + RESPONSE_URL_LIFE_S,
        )
        return f"{self.base_url}/response/{key}"


def _find(blocks: list[Json], find: Json) -> tuple[Json, Json]:
    for block, element in elements(blocks):
        if find.get("block_id") not in {None, block["block_id"]}:
            continue
        if find.get("action_id") in {None, element["action_id"]}:
            return block, element
    present = [element["action_id"] for _, element in elements(blocks)]
    raise SlackError("action_not_found", {"wanted": find, "present": present})


def _channel_name(channel: Channel) -> str:
    return "directmessage" if channel.kind == "im" else channel.name
