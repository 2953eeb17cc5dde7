"""Puts answers into threads exactly once, as far as Slack lets us know."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bot.answering import Answered, Source
from bot.slack.api import SlackApi
from bot.slack.errors import SlackRefusedError
from bot.slack.payloads import Question
from bot.slack.streaming import UNSUPPORTED, LiveAnswer
from bot.slack.views.answers import answer_blocks, answer_parts, tail_blocks
from bot.slack.views.blocks import escape
from feedback.domain.interaction import Interaction
from feedback.errors import UnderstudyError

_log = logging.getLogger(__name__)

EVENT_TYPE = "support_answer"
STATUS_AFTER_S = 1.0
"""Quick answers show no status: it would cost a call and flicker."""

_TOO_RICH = frozenset(
    ["invalid_blocks", "msg_blocks_too_long", "msg_blocks_too_many", "invalid_blocks_format"]
)


class Poster:
    """Posts answers; every post carries the answer's opaque id, so that a successor finds it.

    Args:
        api: Slack.
        stream_channels: Stream outside direct messages too.
        handoff: Returns the id of the user group to call when the bot does not know.
    """

    def __init__(
        self,
        api: SlackApi,
        *,
        stream_channels: bool = False,
        handoff: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._api = api
        self._handoff = handoff
        self._stream_channels = stream_channels
        self._can_stream = True
        self._can_show_status = True

    def live(
        self, question: Question, started: Callable[[str], Awaitable[None]]
    ) -> LiveAnswer | None:
        """Returns a stream for the answer, None where people get it in one piece."""
        if not self._can_stream or not (question.direct or self._stream_channels):
            return None
        return LiveAnswer(
            self._api,
            channel=question.channel,
            thread_ts=question.thread_ts,
            recipient=f"{question.team}:{question.user}",
            started=started,
            unsupported=self._stop_streaming,
        )

    async def post(
        self, answered: Answered, live: LiveAnswer | None = None, *, reconcile: bool = False
    ) -> str:
        """Posts an answer and returns the ts of the message that carries the buttons.

        Args:
            answered: The stored answer with its sources.
            live: The stream it was shown in, if any.
            reconcile: An earlier try may have posted: look before posting again.

        Raises:
            RetryableError: Slack is not there for the moment.
            SlackRefusedError: Slack will never take it.
        """
        interaction = answered.interaction
        parts = answer_parts(interaction.answer or "")
        known = live.ts if live else interaction.answer_ts
        posted: dict[int, str] = {}
        if reconcile:
            posted = await self._posted(interaction)
        if known is not None and len(parts) == 1 and 0 not in posted:
            return await self._complete(known, interaction, parts[0], answered.sources, live)
        ts = ""
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            ts = posted.get(number) or await self._send(
                interaction, part, number, answered.sources if last else (), last=last
            )
        return ts

    async def _complete(
        self,
        ts: str,
        interaction: Interaction,
        text: str,
        sources: Sequence[Source],
        live: LiveAnswer | None,
    ) -> str:
        """Finishes a streamed message; replaces or reposts it when the stream is gone."""
        metadata = _metadata(interaction.id, 0)
        handoff = self._handoff() if interaction.abstained else None
        tail = tail_blocks(interaction.id, sources, handoff=handoff)
        if live is not None and await live.finish(text, tail, metadata):
            return ts
        if live is None:
            # A predecessor died in mid-stream; Slack edits no message that still streams.
            await self._stop(interaction, ts)
        blocks = answer_blocks(interaction.id, text, sources, handoff=handoff)
        for final in (False, True):
            try:
                await self._api.update(
                    interaction.channel, ts, escape(text), blocks=blocks, metadata=metadata
                )
            except SlackRefusedError as exc:
                if exc.code == "streaming_state_conflict" and not final:
                    await self._stop(interaction, ts)
                    continue
                _log.warning("the streamed message cannot be replaced, posting anew: %s", exc)
                return await self._send(interaction, text, 0, sources, last=True)
            break
        return ts

    async def _stop(self, interaction: Interaction, ts: str) -> None:
        with contextlib.suppress(UnderstudyError):
            await self._api.stop_stream(interaction.channel, ts)

    async def _send(
        self,
        interaction: Interaction,
        text: str,
        number: int,
        sources: Sequence[Source],
        *,
        last: bool,
    ) -> str:
        root = interaction.thread_key.rpartition(":")[2]
        handoff = self._handoff() if interaction.abstained else None
        blocks = answer_blocks(interaction.id, text, sources, buttons=last, handoff=handoff)
        metadata = _metadata(interaction.id, number)
        try:
            return await self._api.post(
                interaction.channel, escape(text), blocks=blocks, thread_ts=root, metadata=metadata
            )
        except SlackRefusedError as exc:
            if exc.code not in _TOO_RICH:
                raise
            _log.warning("Slack takes no blocks for %s (%s); plain text", interaction.id, exc.code)
            return await self._api.post(
                interaction.channel, escape(text), thread_ts=root, metadata=metadata
            )

    async def say(self, interaction: Interaction, text: str, *, mark: str) -> None:
        """Posts something besides the answer once, e.g. an apology."""
        root = interaction.thread_key.rpartition(":")[2]
        for message in await self._api.replies(
            interaction.channel, root, oldest=interaction.question_ts
        ):
            if _payload(message).get("id") == f"{mark}:{interaction.id}":
                return
        await self._api.post(
            interaction.channel,
            escape(text),
            thread_ts=root,
            metadata=_metadata(f"{mark}:{interaction.id}", 0),
        )

    async def _posted(self, interaction: Interaction) -> dict[int, str]:
        root = interaction.thread_key.rpartition(":")[2]
        messages = await self._api.replies(
            interaction.channel, root, oldest=interaction.question_ts
        )
        return {
            int(_payload(message).get("part", 0)): str(message["ts"])
            for message in messages
            if _payload(message).get("id") == interaction.id
        }

    @asynccontextmanager
    async def thinking(self, question: Question) -> AsyncIterator[None]:
        """Shows a status while the answer takes long; best effort, and never left behind."""
        task = asyncio.create_task(self._show_status(question))
        try:
            yield
        except BaseException:
            task.cancel()
            if (await asyncio.gather(task, return_exceptions=True))[0] is True:
                await self._clear_status(question)
            raise
        task.cancel()
        # A post clears the status by itself.
        await asyncio.gather(task, return_exceptions=True)

    async def _show_status(self, question: Question) -> bool:
        await asyncio.sleep(STATUS_AFTER_S)
        return await self._status(question, "is looking it up...")

    async def _clear_status(self, question: Question) -> None:
        await self._status(question, "")

    async def _status(self, question: Question, status: str) -> bool:
        if not self._can_show_status:
            return False
        try:
            await self._api.set_status(question.channel, question.thread_ts, status)
        except SlackRefusedError as exc:
            if exc.code in UNSUPPORTED:
                self._can_show_status = False
            return False
        except UnderstudyError:
            return False
        return True

    def _stop_streaming(self) -> None:
        self._can_stream = False


def _metadata(identity: str, part: int) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"id": identity, "part": part}}


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    payload = (message.get("metadata") or {}).get("event_payload")
    return payload if isinstance(payload, dict) else {}
