"""The Web API methods we call, with Slack's failures mapped to our error tree."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.budget import BEST_EFFORT, Budget, StreamRoom, limit_s, patience_s
from bot.slack.errors import slack_errors
from bot.slack.payloads import Identity
from feedback.errors import OverloadedError, TimedOutError, UnavailableError

RATE_LIMIT_TRIES = 3
"""Calls in a row that Slack may refuse for being too fast before the work is put off."""

Blocks = list[dict[str, Any]]
Chunks = Sequence[dict[str, Any]]
"""Pieces of a streamed message, see `bot.slack.views.progress`."""


Call = Callable[..., Awaitable[AsyncSlackResponse]]


class SlackApi:
    """The one layer that repeats calls, in place of slack_sdk's retry handlers.

    Those know neither the budget nor errors in a body nor 502. A call that does no harm twice is
    repeated once when Slack fails; a post never: one whose answer was lost may have arrived, and
    the one who posts reconciles first. Every try takes its turn in the workspace's budget, and a
    refusal for being too fast holds the method back for everybody.

    Args:
        client: Tells the token, the address and the connections to use.
        budget: Of the workspace.
        repeat_s: Seconds before a failed call is repeated.
        limit_s: Seconds that a call of a method takes at the longest, all its tries together.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        budget: Budget,
        *,
        repeat_s: float = 0.5,
        limit_s: Callable[[str], float] = limit_s,
    ) -> None:
        self.session = client.session
        self._client = AsyncWebClient(
            token=client.token,
            base_url=client.base_url,
            timeout=client.timeout,
            session=client.session,
            retry_handlers=[],
        )
        self._budget = budget
        self._repeat_s = repeat_s
        self._limit_s = limit_s
        self._rooms: dict[tuple[str, str], StreamRoom] = {}
        """What is set aside for open streams, by channel and ts."""

    async def identity(self) -> Identity:
        """Returns who the bot's token is."""
        answer = await self._repeatably("auth.test", self._client.auth_test)
        return Identity(
            team=str(answer["team_id"]),
            user_id=str(answer["user_id"]),
            bot_id=str(answer.get("bot_id") or ""),
        )

    async def post(
        self,
        channel: str,
        text: str,
        *,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Posts a message and returns its ts."""
        answer = await self._once(
            "chat.postMessage",
            self._client.chat_postMessage,
            channel=channel,
            text=text,
            blocks=blocks,
            thread_ts=thread_ts,
            metadata=metadata,
            unfurl_links=False,
            unfurl_media=False,
        )
        return str(answer["ts"])

    async def update(
        self,
        channel: str,
        ts: str,
        text: str,
        *,
        blocks: Blocks,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Replaces a message of ours."""
        await self._repeatably(
            "chat.update",
            self._client.chat_update,
            channel=channel,
            ts=ts,
            text=text,
            blocks=blocks,
            metadata=metadata,
        )

    async def whisper(
        self, channel: str, user: str, text: str, *, thread_ts: str | None = None
    ) -> None:
        """Shows a message to one person only."""
        await self._once(
            "chat.postEphemeral",
            self._client.chat_postEphemeral,
            channel=channel,
            user=user,
            text=text,
            thread_ts=thread_ts,
        )

    async def replies(self, channel: str, thread_ts: str, *, oldest: str) -> list[dict[str, Any]]:
        """Returns the messages of a thread from `oldest` on, with their metadata."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._repeatably(
                "conversations.replies",
                self._client.conversations_replies,
                channel=channel,
                ts=thread_ts,
                oldest=oldest,
                inclusive=True,
                include_all_metadata=True,
                limit=200,
                cursor=cursor,
            )
            found.extend(page["messages"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return found

    async def recent(self, channel: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """Returns the latest messages of a channel with their metadata, newest first."""
        page = await self._repeatably(
            "conversations.history",
            self._client.conversations_history,
            channel=channel,
            include_all_metadata=True,
            limit=limit,
        )
        messages: list[dict[str, Any]] = page["messages"]
        return messages

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        """Shows what the assistant is doing; an empty status clears it."""
        await self._once(
            "assistant.threads.setStatus",
            self._client.assistant_threads_setStatus,
            channel_id=channel,
            thread_ts=thread_ts,
            status=status,
        )

    async def set_session(
        self,
        channel: str,
        thread_ts: str,
        status: str,
        *,
        title: str | None = None,
        initiator: str | None = None,
    ) -> None:
        """Moves an agent session; `title` and `initiator` count when this creates it."""
        await self._once(
            "agents.sessions.setStatus",
            self._client.agents_sessions_setStatus,
            channel_id=channel,
            thread_ts=thread_ts,
            status=status,
            title=title or None,
            initiator_user_id=initiator,
        )

    async def suggest_prompts(self, channel: str, prompts: Sequence[dict[str, str]]) -> None:
        """Offers up to four prompts in a conversation with the bot."""
        await self._repeatably(
            "assistant.threads.setSuggestedPrompts",
            self._client.assistant_threads_setSuggestedPrompts,
            channel_id=channel,
            prompts=list(prompts),
        )

    async def delete(self, channel: str, ts: str) -> None:
        """Deletes a message of ours."""
        await self._repeatably("chat.delete", self._client.chat_delete, channel=channel, ts=ts)

    async def start_stream(
        self, channel: str, thread_ts: str, recipient: str, *, chunks: Chunks
    ) -> str:
        """Begins a streamed message and returns its ts; `recipient` is `team:user`.

        What an answer of full length needs is set aside until the stream is stopped.

        Raises:
            OverloadedError: Also when the budget has no room for the whole of it.
        """
        team, _, user = recipient.partition(":")
        room = self._budget.stream_room()
        if room is None:
            raise OverloadedError("the budget has no room for a streamed answer")
        try:
            answer = await self._once(
                "chat.startStream",
                self._client.chat_startStream,
                room=room,
                channel=channel,
                thread_ts=thread_ts,
                chunks=chunks,
                task_display_mode="plan",
                recipient_team_id=team,
                recipient_user_id=user,
            )
        except BaseException:
            room.give_back()
            raise
        ts = str(answer["ts"])
        self._rooms[channel, ts] = room
        return ts

    async def append_stream(self, channel: str, ts: str, *, chunks: Chunks) -> None:
        """Adds text and steps to a streamed message."""
        await self._once(
            "chat.appendStream",
            self._client.chat_appendStream,
            room=self._rooms.get((channel, ts)),
            channel=channel,
            ts=ts,
            chunks=chunks,
        )

    async def stop_stream(
        self,
        channel: str,
        ts: str,
        *,
        chunks: Chunks = (),
        blocks: Sequence[dict[str, Any]] = (),
        metadata: dict[str, Any] | None = None,
        session_status: str = "active",
    ) -> None:
        """Ends a streamed message; `session_status` is what becomes of its agent session."""
        room = self._rooms.pop((channel, ts), None)
        try:
            await self._once(
                "chat.stopStream",
                self._client.chat_stopStream,
                room=room,
                channel=channel,
                ts=ts,
                chunks=list(chunks) or None,
                blocks=list(blocks) or None,
                metadata=metadata,
                session_status=session_status,
            )
        finally:
            if room is not None:
                room.give_back()

    async def open_view(self, trigger_id: str, view: dict[str, Any]) -> dict[str, Any]:
        """Opens a modal and returns the view."""
        answer = await self._once(
            "views.open", self._client.views_open, trigger_id=trigger_id, view=view
        )
        opened: dict[str, Any] = answer["view"]
        return opened

    async def update_view(self, view_id: str, view: dict[str, Any]) -> None:
        """Replaces an open modal."""
        await self._repeatably(
            "views.update", self._client.views_update, view_id=view_id, view=view
        )

    async def publish_home(
        self, user: str, view: dict[str, Any], *, seen: str | None = None
    ) -> None:
        """Replaces somebody's App Home, if it is still the view with the hash `seen`."""
        await self._repeatably(
            "views.publish", self._client.views_publish, user_id=user, view=view, hash=seen
        )

    async def permalink(self, channel: str, ts: str) -> str:
        """Returns a link that opens a message."""
        answer = await self._repeatably(
            "chat.getPermalink", self._client.chat_getPermalink, channel=channel, message_ts=ts
        )
        return str(answer["permalink"])

    async def open_dm(self, user: str) -> str:
        """Returns the channel of the direct conversation with a person."""
        answer = await self._repeatably(
            "conversations.open", self._client.conversations_open, users=[user]
        )
        return str(answer["channel"]["id"])

    async def members(self) -> list[dict[str, Any]]:
        """Returns everybody of the workspace."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._repeatably(
                "users.list", self._client.users_list, limit=200, cursor=cursor
            )
            found.extend(page["members"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return found

    async def groups(self) -> dict[str, str]:
        """Returns the ids of the workspace's user groups by handle."""
        answer = await self._repeatably("usergroups.list", self._client.usergroups_list)
        return {str(group["handle"]): str(group["id"]) for group in answer["usergroups"]}

    async def group_members(self, group: str) -> list[str]:
        """Returns the members of a user group."""
        answer = await self._repeatably(
            "usergroups.users.list", self._client.usergroups_users_list, usergroup=group
        )
        return [str(user) for user in answer["users"]]

    async def _repeatably(self, method: str, call: Call, **arguments: object) -> AsyncSlackResponse:
        """Makes a call that does no harm twice; a failing Slack is asked once more."""
        return await self._in_time(method, call, None, arguments, repeats=1)

    async def _once(
        self, method: str, call: Call, *, room: StreamRoom | None = None, **arguments: object
    ) -> AsyncSlackResponse:
        """Makes a call that Slack must not get twice."""
        return await self._in_time(method, call, room, arguments, repeats=0)

    async def _in_time(
        self,
        method: str,
        call: Call,
        room: StreamRoom | None,
        arguments: dict[str, object],
        *,
        repeats: int,
    ) -> AsyncSlackResponse:
        limit = self._limit_s(method)
        try:
            async with asyncio.timeout(limit):
                for left in range(repeats, -1, -1):
                    try:
                        return await self._in_turn(method, call, room, arguments)
                    except UnavailableError:
                        if left == 0:
                            raise
                    await asyncio.sleep(self._repeat_s * random.uniform(0.5, 1.0))
        except TimeoutError as exc:
            raise TimedOutError(f"{method}: not done within {limit:g} s") from exc
        raise AssertionError("a try returns or raises")

    async def _in_turn(
        self, method: str, call: Call, room: StreamRoom | None, arguments: dict[str, object]
    ) -> AsyncSlackResponse:
        """Makes a call in its turn; one that Slack refused for being too fast was not made."""
        now = asyncio.get_running_loop().time
        patient_until = now() + patience_s(method)
        tries_left = 1 if method in BEST_EFFORT else RATE_LIMIT_TRIES
        while True:
            await self._budget.take(
                method,
                str(arguments.get("channel", "")),
                room=room,
                patience=max(0.0, patient_until - now()),
            )
            try:
                with slack_errors(method):
                    return await call(**arguments)
            except OverloadedError as exc:
                self._budget.pause(method, 1.0 if exc.retry_after is None else exc.retry_after)
                tries_left -= 1
                if tries_left == 0:
                    raise


def make_client(
    token: str | None,
    base_url: str,
    *,
    session: aiohttp.ClientSession | None = None,
    timeout_s: int = 30,
) -> AsyncWebClient:
    """Returns a client for the calls that Bolt makes by itself; see `SlackApi` for ours."""
    return AsyncWebClient(
        token=token,
        base_url=base_url,
        timeout=timeout_s,
        session=session,
        retry_handlers=[
            AsyncConnectionErrorRetryHandler(),
            AsyncServerErrorRetryHandler(),
        ],
    )
