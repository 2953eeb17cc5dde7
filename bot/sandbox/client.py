"""People in the sandbox, from Python: what simulated users and tests act through.

    async with SandboxClient(url) as people:
        asked = await people.post(user=..., channel=..., text="<@U0UNDRSTDY> how do I ...?")
        answer = await people.wait_for_reply(channel=asked.channel, thread_ts=asked.ts)
        click = await people.click(user=..., message=answer, action_id="answer_feedback",
                                   value="negative", wait_view_s=5)

One long poll per client feeds every waiter, so many people can wait at once.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from bot.sandbox.follower import FeedFollower
from bot.sandbox.gestures import Acted, SandboxMessage, Submitted
from bot.sandbox.jsontypes import Json, JsonValue
from bot.sandbox.switchboard import Switchboard

__all__ = ["Acted", "SandboxClient", "SandboxMessage", "Submitted"]


class SandboxClient(Switchboard):
    """Acts as any of the people of a sandbox."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._follower = FeedFollower(self._call)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._follower.stop()
        await super().__aexit__(kind, error, trace)

    async def state(self, user: str | None = None) -> Json:
        """Returns people, conversations, groups, the app, and what `user` sees (None: all)."""
        return await self._call("GET", "state", {"user": user})

    async def messages(
        self,
        *,
        channel: str,
        thread_ts: str | None = None,
        after: str | None = None,
        user: str | None = None,
    ) -> list[SandboxMessage]:
        """Returns messages oldest first: of a thread with its root, or those outside threads.

        Args:
            channel: The conversation.
            thread_ts: Root of the thread.
            after: Only later ones.
            user: Include this person's ephemeral messages.
        """
        query = {"channel": channel, "thread_ts": thread_ts, "after": after, "user": user}
        answer = await self._call("GET", "messages", query)
        return [SandboxMessage.read(channel, raw) for raw in answer["messages"]]

    async def post(
        self, *, user: str, channel: str, text: str, thread_ts: str | None = None
    ) -> SandboxMessage:
        """Says something as `user`; mentions are written `<@USERID>`."""
        body = {"user": user, "channel": channel, "text": text, "thread_ts": thread_ts}
        answer = await self._call("POST", "messages", body)
        return SandboxMessage.read(answer["channel"], answer["message"])

    async def edit(self, *, user: str, message: SandboxMessage, text: str) -> None:
        """Edits an own message."""
        body = {"user": user, "channel": message.channel, "ts": message.ts, "text": text}
        await self._call("POST", "messages/edit", body)

    async def delete(self, *, user: str, message: SandboxMessage) -> None:
        """Deletes an own message."""
        body = {"user": user, "channel": message.channel, "ts": message.ts}
        await self._call("POST", "messages/delete", body)

    async def react(
        self, *, user: str, message: SandboxMessage, name: str, present: bool = True
    ) -> None:
        """Adds a reaction, or takes it back."""
        body = {"user": user, "channel": message.channel, "ts": message.ts, "name": name}
        await self._call("POST", "reactions", {**body, "present": present})

    async def click(
        self,
        *,
        user: str,
        message: SandboxMessage,
        action_id: str,
        block_id: str | None = None,
        value: JsonValue = None,
        wait_view_s: float = 0.0,
    ) -> Acted:
        """Uses a button, feedback buttons or a choice of a message.

        Args:
            user: Who.
            message: Where.
            action_id: The element.
            block_id: Its block, when action ids repeat.
            value: `positive` or `negative` for feedback buttons; option value(s) for choices.
            wait_view_s: How long to wait for the app to open a view.
        """
        place = {"channel": message.channel, "ts": message.ts}
        what = {"action_id": action_id, "block_id": block_id, "value": value}
        body = {"user": user, **place, **what, "wait_view_s": wait_view_s}
        return Acted.read(await self._call("POST", "actions", body))

    async def click_in_view(
        self,
        *,
        user: str,
        action_id: str,
        value: JsonValue = None,
        view_id: str | None = None,
        values: Mapping[str, Any] | None = None,
        wait_view_s: float = 0.0,
    ) -> Acted:
        """Uses an element of the open modal, or of the view `view_id` (e.g. App Home)."""
        what = {"action_id": action_id, "value": value, "values": dict(values or {})}
        body = {"user": user, "view_id": view_id, **what, "wait_view_s": wait_view_s}
        return Acted.read(await self._call("POST", "views/actions", body))

    async def submit(
        self, *, user: str, values: Mapping[str, Any], view_id: str | None = None
    ) -> Submitted:
        """Submits the open modal.

        Args:
            user: Who.
            values: Plain values by action_id (or `block_id/action_id`, or block_id): text,
                an option value, a list of option values; what is left out keeps its initial.
            view_id: The modal; the top one by default.
        """
        body = {"user": user, "view_id": view_id, "values": dict(values)}
        answer = await self._call("POST", "views/submit", body)
        return Submitted(
            outcome=answer["outcome"],
            errors=answer.get("errors", {}),
            view=answer.get("view"),
            reason=answer.get("reason", ""),
        )

    async def close(self, *, user: str, cleared: bool = False) -> None:
        """Cancels the open modal, or all of them."""
        await self._call("POST", "views/close", {"user": user, "cleared": cleared})

    async def modal(self, user: str) -> Json | None:
        """Returns the modal a person sees, if any."""
        modal: Json | None = (await self._call("GET", "views", {"user": user}))["modal"]
        return modal

    async def home(self, user: str) -> Json | None:
        """Returns a person's App Home, if the app published one."""
        home: Json | None = (await self._call("GET", "views", {"user": user}))["home"]
        return home

    async def open_home(self, *, user: str, tab: str = "home") -> str:
        """Opens the app's conversation at a tab; returns its channel id."""
        channel: str = (await self._call("POST", "home", {"user": user, "tab": tab}))["channel"]
        return channel

    async def look_at(self, *, user: str, channel: str | None) -> None:
        """Has a channel (None: nothing) on screen beside the app's conversation."""
        await self._call("POST", "context", {"user": user, "channel": channel})

    async def open_dm(self, *, user: str, with_user: str | None = None) -> str:
        """Returns the direct conversation with the app, or with another person."""
        answer = await self._call("POST", "dm", {"user": user, "with": with_user})
        channel: str = answer["channel"]
        return channel

    async def shortcut(
        self, *, user: str, message: SandboxMessage, callback_id: str, wait_view_s: float = 0.0
    ) -> Acted:
        """Picks a message shortcut."""
        body = {"user": user, "channel": message.channel, "ts": message.ts}
        body |= {"callback_id": callback_id}
        return Acted.read(
            await self._call("POST", "shortcuts", {**body, "wait_view_s": wait_view_s})
        )

    async def command(
        self, *, user: str, channel: str, command: str, text: str = "", wait_view_s: float = 0.0
    ) -> Acted:
        """Runs a slash command."""
        body = {"user": user, "channel": channel, "command": command, "text": text}
        return Acted.read(
            await self._call("POST", "commands", {**body, "wait_view_s": wait_view_s})
        )

    async def set_group(self, *, group: str, users: list[str]) -> None:
        """Replaces the members of a user group, named by id or handle."""
        await self._call("POST", "groups", {"group": group, "users": users})

    async def stop_session(self, *, user: str, channel: str, thread_ts: str) -> list[str]:
        """Presses Stop while the app answers; returns the ended streams."""
        body = {"user": user, "channel": channel, "thread_ts": thread_ts}
        streams: list[str] = (await self._call("POST", "stop", body))["streams"]
        return streams

    async def wait_for_reply(
        self,
        *,
        channel: str,
        thread_ts: str,
        after_ts: str | None = None,
        timeout_s: float = 30.0,
        where: Callable[[SandboxMessage], bool] | None = None,
    ) -> SandboxMessage:
        """Returns the app's first finished message in a thread.

        Args:
            channel: The conversation.
            thread_ts: Root of the thread: the ts of the question.
            after_ts: Only later messages; the root by default.
            timeout_s: Real seconds to wait.
            where: Further condition, e.g. that buttons are there.

        Raises:
            TimedOutError: No such message came in time.
        """
        after = after_ts or thread_ts

        def wanted(message: SandboxMessage) -> bool:
            mine = message.is_app and message.thread_ts == thread_ts and message.ts > after
            return mine and not message.streaming and (where is None or where(message))

        async def now() -> SandboxMessage | None:
            present = await self.messages(channel=channel, thread_ts=thread_ts, after=after)
            return next((message for message in present if wanted(message)), None)

        def then(entry: Json) -> SandboxMessage | None:
            if entry.get("channel") != channel or not entry["kind"].startswith("message"):
                return None
            if entry["kind"] == "message_deleted":
                return None
            message = SandboxMessage.read(channel, entry["message"])
            return message if wanted(message) else None

        what = f"a reply in {channel} under {thread_ts}"
        return await self._follower.wait(now, then, timeout_s, what)

    async def wait_for_message(
        self,
        *,
        channel: str,
        where: Callable[[SandboxMessage], bool],
        timeout_s: float = 30.0,
    ) -> SandboxMessage:
        """Returns the first message outside threads that `where` accepts, present or to come.

        Raises:
            TimedOutError: No such message came in time.
        """

        async def now() -> SandboxMessage | None:
            present = await self.messages(channel=channel)
            return next((message for message in present if where(message)), None)

        def then(entry: Json) -> SandboxMessage | None:
            if entry.get("channel") != channel or entry["kind"] not in {
                "message",
                "message_changed",
            }:
                return None
            message = SandboxMessage.read(channel, entry["message"])
            return message if where(message) else None

        return await self._follower.wait(now, then, timeout_s, f"a message in {channel}")

    async def wait_for_ephemeral(
        self,
        *,
        user: str,
        channel: str,
        after_ts: str = "",
        thread_ts: str | None = None,
        timeout_s: float = 30.0,
    ) -> SandboxMessage:
        """Returns the first ephemeral message to `user` later than `after_ts`.

        Raises:
            TimedOutError: None came in time.
        """

        async def now() -> SandboxMessage | None:
            present = await self.messages(channel=channel, thread_ts=thread_ts, user=user)
            private = (m for m in present if m.raw.get("is_ephemeral") and m.ts > after_ts)
            return next(private, None)

        def then(entry: Json) -> SandboxMessage | None:
            place = (entry["kind"], entry.get("channel"), entry.get("only_for"))
            if place != ("ephemeral", channel, user):
                return None
            message = SandboxMessage.read(channel, entry["message"])
            fits = message.ts > after_ts and message.thread_ts == thread_ts
            return message if fits else None

        what = f"an ephemeral message to {user} in {channel}"
        return await self._follower.wait(now, then, timeout_s, what)

    async def wait_for_modal(
        self, *, user: str, where: Callable[[Json], bool], timeout_s: float = 30.0
    ) -> Json:
        """Returns the modal of `user` once `where` accepts it.

        Raises:
            TimedOutError: No such modal in time.
        """

        async def now() -> Json | None:
            modal = await self.modal(user)
            return modal if modal is not None and where(modal) else None

        def then(entry: Json) -> Json | None:
            if entry["kind"] != "view" or entry.get("only_for") != user:
                return None
            modal: Json | None = entry["modal"]
            return modal if modal is not None and where(modal) else None

        return await self._follower.wait(now, then, timeout_s, f"a modal for {user}")
