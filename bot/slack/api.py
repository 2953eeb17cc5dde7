"""The Web API methods we call, with Slack's failures mapped to our error tree."""

from collections.abc import Sequence
from typing import Any

import aiohttp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.budget import StreamRoom
from bot.slack.calls import Calls
from bot.slack.payloads import Identity
from feedback.errors import OverloadedError

Blocks = list[dict[str, Any]]
Chunks = Sequence[dict[str, Any]]
"""Pieces of a streamed message, see `bot.slack.views.progress`."""


class SlackApi:
    """What we ask of Slack in one workspace.

    Args:
        client: Tells the token, the address and the connections to use.
        calls: Makes the calls, in the workspace's budget.
    """

    def __init__(self, client: AsyncWebClient, calls: Calls) -> None:
        self.session = client.session
        self._client = AsyncWebClient(
            token=client.token,
            base_url=client.base_url,
            timeout=client.timeout,
            session=client.session,
            retry_handlers=[],
        )
        self._calls = calls
        self._rooms: dict[tuple[str, str], StreamRoom] = {}
        """What is set aside for open streams, by channel and ts."""

    async def identity(self) -> Identity:
        """Returns who the bot's token is."""
        answer = await self._calls.repeatably("auth.test", self._client.auth_test)
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
        answer = await self._calls.once(
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
        await self._calls.repeatably(
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
        await self._calls.once(
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
            page = await self._calls.repeatably(
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
        page = await self._calls.repeatably(
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
        await self._calls.once(
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
        await self._calls.once(
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
        await self._calls.repeatably(
            "assistant.threads.setSuggestedPrompts",
            self._client.assistant_threads_setSuggestedPrompts,
            channel_id=channel,
            prompts=list(prompts),
        )

    async def delete(self, channel: str, ts: str) -> None:
        """Deletes a message of ours."""
        await self._calls.repeatably(
            "chat.delete", self._client.chat_delete, channel=channel, ts=ts
        )

    async def start_stream(
        self, channel: str, thread_ts: str, recipient: str, *, chunks: Chunks
    ) -> str:
        """Begins a streamed message and returns its ts; `recipient` is `team:user`.

        What an answer of full length needs is set aside until the stream is stopped.

        Raises:
            OverloadedError: Also when the budget has no room for the whole of it.
        """
        team, _, user = recipient.partition(":")
        room = self._calls.stream_room()
        if room is None:
            raise OverloadedError("the budget has no room for a streamed answer")
        try:
            answer = await self._calls.once(
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
        # Nobody stops the stream of a worker that died; what was set aside for it is used up.
        self._rooms = {place: held for place, held in self._rooms.items() if held.left}
        self._rooms[channel, ts] = room
        return ts

    async def append_stream(self, channel: str, ts: str, *, chunks: Chunks) -> None:
        """Adds text and steps to a streamed message."""
        await self._calls.once(
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
            await self._calls.once(
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
        answer = await self._calls.once(
            "views.open", self._client.views_open, trigger_id=trigger_id, view=view
        )
        opened: dict[str, Any] = answer["view"]
        return opened

    async def update_view(self, view_id: str, view: dict[str, Any]) -> None:
        """Replaces an open modal."""
        await self._calls.repeatably(
            "views.update", self._client.views_update, view_id=view_id, view=view
        )

    async def publish_home(
        self, user: str, view: dict[str, Any], *, seen: str | None = None
    ) -> None:
        """Replaces somebody's App Home, if it is still the view with the hash `seen`."""
        await self._calls.repeatably(
            "views.publish", self._client.views_publish, user_id=user, view=view, hash=seen
        )

    async def permalink(self, channel: str, ts: str) -> str:
        """Returns a link that opens a message."""
        answer = await self._calls.repeatably(
            "chat.getPermalink", self._client.chat_getPermalink, channel=channel, message_ts=ts
        )
        return str(answer["permalink"])

    async def open_dm(self, user: str) -> str:
        """Returns the channel of the direct conversation with a person."""
        answer = await self._calls.repeatably(
            "conversations.open", self._client.conversations_open, users=[user]
        )
        return str(answer["channel"]["id"])

    async def members(self) -> list[dict[str, Any]]:
        """Returns everybody of the workspace."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._calls.repeatably(
                "users.list", self._client.users_list, limit=200, cursor=cursor
            )
            found.extend(page["members"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return found

    async def groups(self) -> dict[str, str]:
        """Returns the ids of the workspace's user groups by handle."""
        answer = await self._calls.repeatably("usergroups.list", self._client.usergroups_list)
        return {str(group["handle"]): str(group["id"]) for group in answer["usergroups"]}

    async def group_members(self, group: str) -> list[str]:
        """Returns the members of a user group."""
        answer = await self._calls.repeatably(
            "usergroups.users.list", self._client.usergroups_users_list, usergroup=group
        )
        return [str(user) for user in answer["users"]]


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
