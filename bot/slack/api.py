"""The Web API methods we call, with Slack's failures mapped to our error tree."""

from collections.abc import Sequence
from typing import Any

import aiohttp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.errors import slack_errors
from bot.slack.payloads import Identity

Blocks = list[dict[str, Any]]
Chunks = Sequence[dict[str, Any]]
"""Pieces of a streamed message, see `bot.slack.views.progress`."""


class SlackApi:
    """Two clients: repeatable calls are retried in place, posts only when Slack asked to wait.

    A post whose answer was lost may have arrived; the one who posts reconciles first.
    """

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client
        self._posting = AsyncWebClient(
            token=client.token,
            base_url=client.base_url,
            timeout=client.timeout,
            session=client.session,
            retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=3)],
        )

    async def identity(self) -> Identity:
        """Returns who the bot's token is."""
        with slack_errors("auth.test"):
            answer = await self.client.auth_test()
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
        with slack_errors("chat.postMessage"):
            answer = await self._posting.chat_postMessage(
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
        with slack_errors("chat.update"):
            await self.client.chat_update(
                channel=channel, ts=ts, text=text, blocks=blocks, metadata=metadata
            )

    async def whisper(
        self, channel: str, user: str, text: str, *, thread_ts: str | None = None
    ) -> None:
        """Shows a message to one person only."""
        with slack_errors("chat.postEphemeral"):
            await self._posting.chat_postEphemeral(
                channel=channel, user=user, text=text, thread_ts=thread_ts
            )

    async def replies(self, channel: str, thread_ts: str, *, oldest: str) -> list[dict[str, Any]]:
        """Returns the messages of a thread from `oldest` on, with their metadata."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            with slack_errors("conversations.replies"):
                page = await self.client.conversations_replies(
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
        with slack_errors("conversations.history"):
            page = await self.client.conversations_history(
                channel=channel, include_all_metadata=True, limit=limit
            )
        messages: list[dict[str, Any]] = page["messages"]
        return messages

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        """Shows what the assistant is doing; an empty status clears it."""
        with slack_errors("assistant.threads.setStatus"):
            await self._posting.assistant_threads_setStatus(
                channel_id=channel, thread_ts=thread_ts, status=status
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
        with slack_errors("agents.sessions.setStatus"):
            await self._posting.agents_sessions_setStatus(
                channel_id=channel,
                thread_ts=thread_ts,
                status=status,
                title=title or None,
                initiator_user_id=initiator,
            )

    async def suggest_prompts(self, channel: str, prompts: Sequence[dict[str, str]]) -> None:
        """Offers up to four prompts in a conversation with the bot."""
        with slack_errors("assistant.threads.setSuggestedPrompts"):
            await self.client.assistant_threads_setSuggestedPrompts(
                channel_id=channel, prompts=list(prompts)
            )

    async def delete(self, channel: str, ts: str) -> None:
        """Deletes a message of ours."""
        with slack_errors("chat.delete"):
            await self.client.chat_delete(channel=channel, ts=ts)

    async def start_stream(
        self, channel: str, thread_ts: str, recipient: str, *, chunks: Chunks
    ) -> str:
        """Begins a streamed message and returns its ts; `recipient` is `team:user`."""
        team, _, user = recipient.partition(":")
        with slack_errors("chat.startStream"):
            answer = await self._posting.chat_startStream(
                channel=channel,
                thread_ts=thread_ts,
                chunks=chunks,
                task_display_mode="plan",
                recipient_team_id=team,
                recipient_user_id=user,
            )
        return str(answer["ts"])

    async def append_stream(self, channel: str, ts: str, *, chunks: Chunks) -> None:
        """Adds text and steps to a streamed message."""
        with slack_errors("chat.appendStream"):
            await self._posting.chat_appendStream(channel=channel, ts=ts, chunks=chunks)

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
        with slack_errors("chat.stopStream"):
            await self._posting.chat_stopStream(
                channel=channel,
                ts=ts,
                chunks=list(chunks) or None,
                blocks=list(blocks) or None,
                metadata=metadata,
                session_status=session_status,
            )

    async def open_view(self, trigger_id: str, view: dict[str, Any]) -> dict[str, Any]:
        """Opens a modal and returns the view."""
        with slack_errors("views.open"):
            answer = await self._posting.views_open(trigger_id=trigger_id, view=view)
        opened: dict[str, Any] = answer["view"]
        return opened

    async def update_view(self, view_id: str, view: dict[str, Any]) -> None:
        """Replaces an open modal."""
        with slack_errors("views.update"):
            await self.client.views_update(view_id=view_id, view=view)

    async def publish_home(
        self, user: str, view: dict[str, Any], *, seen: str | None = None
    ) -> None:
        """Replaces somebody's App Home, if it is still the view with the hash `seen`."""
        with slack_errors("views.publish"):
            await self.client.views_publish(user_id=user, view=view, hash=seen)

    async def permalink(self, channel: str, ts: str) -> str:
        """Returns a link that opens a message."""
        with slack_errors("chat.getPermalink"):
            answer = await self.client.chat_getPermalink(channel=channel, message_ts=ts)
        return str(answer["permalink"])

    async def open_dm(self, user: str) -> str:
        """Returns the channel of the direct conversation with a person."""
        with slack_errors("conversations.open"):
            answer = await self.client.conversations_open(users=[user])
        return str(answer["channel"]["id"])

    async def members(self) -> list[dict[str, Any]]:
        """Returns everybody of the workspace."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            with slack_errors("users.list"):
                page = await self.client.users_list(limit=200, cursor=cursor)
            found.extend(page["members"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return found

    async def groups(self) -> dict[str, str]:
        """Returns the ids of the workspace's user groups by handle."""
        with slack_errors("usergroups.list"):
            answer = await self.client.usergroups_list()
        return {str(group["handle"]): str(group["id"]) for group in answer["usergroups"]}

    async def group_members(self, group: str) -> list[str]:
        """Returns the members of a user group."""
        with slack_errors("usergroups.users.list"):
            answer = await self.client.usergroups_users_list(usergroup=group)
        return [str(user) for user in answer["users"]]


def make_client(
    token: str | None,
    base_url: str,
    *,
    session: aiohttp.ClientSession | None = None,
    timeout_s: int = 30,
) -> AsyncWebClient:
    """Returns a client for calls that may be repeated."""
    return AsyncWebClient(
        token=token,
        base_url=base_url,
        timeout=timeout_s,
        session=session,
        retry_handlers=[
            AsyncConnectionErrorRetryHandler(),
            AsyncRateLimitErrorRetryHandler(max_retry_count=3),
            AsyncServerErrorRetryHandler(),
        ],
    )
