"""Puts answers into threads exactly once, as far as Slack lets us know.

The ladder, from the best way to the plainest; every rung sends the stored text anew:
a stream that ends with sources and buttons; the streamed message replaced by the whole text; one
post, or several when the text is long, with the buttons on the last; the same without blocks.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bot.answering import Answered
from bot.drafts import Source
from bot.interrupting import InterruptedAnswerError, Why
from bot.slack.api import SlackApi
from bot.slack.errors import Outcome, SlackRefusedError
from bot.slack.manner import Manner
from bot.slack.payloads import Identity, Question
from bot.slack.streaming import Ending, Hooks, LiveAnswer, Pace, Place
from bot.slack.views.answers import answer_blocks, tail_blocks
from bot.slack.views.blocks import Block, escape
from bot.slack.views.progress import streams
from bot.slack.views.splitting import answer_parts
from feedback.domain.interaction import Interaction
from feedback.errors import UnderstudyError

_log = logging.getLogger(__name__)

EVENT_TYPE = "support_answer"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One post of an answer."""

    interaction: Interaction
    number: int
    text: str
    sources: Sequence[Source]
    last: bool
    thumbs: bool
    nearby: str | None

    @property
    def root(self) -> str:
        return self.interaction.thread_key.rpartition(":")[2]

    @property
    def metadata(self) -> dict[str, Any]:
        return _metadata(self.interaction.id, self.number)

    def tail(self) -> list[Block]:
        return tail_blocks(
            self.interaction.id,
            self.sources,
            buttons=self.last,
            thumbs=self.thumbs,
            nearby=self.nearby,
        )

    def blocks(self) -> list[Block]:
        return answer_blocks(
            self.interaction.id,
            self.text,
            self.sources,
            buttons=self.last,
            thumbs=self.thumbs,
            nearby=self.nearby,
        )


class Poster:
    """Posts answers; every post carries the answer's opaque id, so that a successor finds it."""

    def __init__(self, api: SlackApi, bot: Identity, *, pace: Pace | None = None) -> None:
        self._api = api
        self._bot = bot
        self._pace = pace or Pace()
        self._can_stream = True

    def live(
        self, question: Question, pending: Interaction, manner: Manner, hooks: Hooks
    ) -> LiveAnswer | None:
        """Returns a stream for the answer, None where people get it in one piece."""
        if not self._can_stream or not manner.streaming:
            return None
        place = Place(
            answer=pending.id,
            channel=question.channel,
            thread_ts=question.thread_ts,
            after_ts=question.ts,
            recipient=f"{question.team}:{question.by}",
        )
        hooks = Hooks(
            started=hooks.started, stopped=hooks.stopped, unsupported=self._stop_streaming
        )
        return LiveAnswer(self._api, place, hooks, self._pace)

    async def post(
        self,
        answered: Answered,
        manner: Manner,
        live: LiveAnswer | None = None,
        *,
        reconcile: bool = False,
    ) -> str:
        """Posts an answer and returns the ts of the message that carries the buttons.

        Args:
            answered: The stored answer with its sources.
            manner: How it appears.
            live: The stream it was shown in, if any.
            reconcile: An earlier try may have posted: look before posting again.

        Raises:
            InterruptedAnswerError: The reader pressed Stop before the end.
            RetryableError: Slack is not there for the moment.
            SlackRefusedError: Slack will never take it.
        """
        interaction = answered.interaction
        parts = _parts(answered, manner)
        known = live.ts if live else interaction.answer_ts
        posted: dict[int, str] = {}
        if reconcile or (live is not None and live.unsure):
            posted, begun = await self._found(interaction)
            known = known or begun
        if known is not None and 0 not in posted:
            posted[0] = await self._complete(known, parts[0], live)
        for part in parts:
            if part.number not in posted:
                posted[part.number] = await self._send(part)
        return posted[len(parts) - 1]

    async def apologise(self, interaction: Interaction, text: str) -> None:
        """Says that there will be no answer, in place of one that had begun."""
        if interaction.answer_ts is not None:
            await self.end_stream(interaction, interaction.answer_ts)
            with suppress(SlackRefusedError):
                shown = [{"type": "markdown", "text": escape(text)}]
                await self._api.update(
                    interaction.channel, interaction.answer_ts, escape(text), blocks=shown
                )
                return
        await self.say(interaction, text, mark="apology", reconcile=True)

    async def say(
        self, interaction: Interaction, text: str, *, mark: str, reconcile: bool = False
    ) -> None:
        """Posts something besides the answer, once."""
        root = interaction.thread_key.rpartition(":")[2]
        name = f"{mark}:{interaction.id}"
        if reconcile:
            for message in await self._api.replies(
                interaction.channel, root, oldest=interaction.question_ts
            ):
                if _payload(message).get("id") == name:
                    return
        await self._api.post(
            interaction.channel, escape(text), thread_ts=root, metadata=_metadata(name, 0)
        )

    async def end_stream(self, interaction: Interaction, ts: str) -> None:
        """Ends a stream that a predecessor may have left open, best effort."""
        with suppress(UnderstudyError):
            await self._api.stop_stream(interaction.channel, ts)

    async def take_back(self, interaction: Interaction, ts: str) -> None:
        """Removes a half-written answer to a question that is gone, best effort."""
        await self.end_stream(interaction, ts)
        with suppress(UnderstudyError):
            await self._api.delete(interaction.channel, ts)

    async def _complete(self, ts: str, part: _Part, live: LiveAnswer | None) -> str:
        """Finishes a streamed message; replaces or reposts it when the stream is gone."""
        if live is None:
            # A predecessor died in mid-stream; Slack edits no message that still streams.
            await self.end_stream(part.interaction, ts)
        else:
            ending = await live.finish(part.text, part.tail(), part.metadata)
            if ending is Ending.STOPPED:
                raise InterruptedAnswerError(Why.STOPPED)
            if ending is Ending.DONE:
                return ts
        for final in (False, True):
            try:
                await self._api.update(
                    part.interaction.channel,
                    ts,
                    escape(part.text),
                    blocks=part.blocks(),
                    metadata=part.metadata,
                )
            except SlackRefusedError as exc:
                if exc.outcome is Outcome.FREE_FIRST and not final:
                    await self.end_stream(part.interaction, ts)
                    continue
                _log.warning("the streamed message cannot be replaced, posting anew: %s", exc)
                return await self._send(part)
            break
        return ts

    async def _send(self, part: _Part) -> str:
        channel, text = part.interaction.channel, escape(part.text)
        try:
            return await self._api.post(
                channel,
                text,
                blocks=part.blocks(),
                thread_ts=part.root,
                metadata=part.metadata,
            )
        except SlackRefusedError as exc:
            if exc.outcome is not Outcome.PLAINER:
                raise
            _log.warning("no blocks for %s (%s); plain text", part.interaction.id, exc.code)
            return await self._api.post(channel, text, thread_ts=part.root, metadata=part.metadata)

    async def _found(self, interaction: Interaction) -> tuple[dict[int, str], str | None]:
        """Returns the parts that stand in the thread, and a stream that nobody finished.

        Whoever died between beginning a stream and recording it left a message without metadata.
        """
        root = interaction.thread_key.rpartition(":")[2]
        replies = await self._api.replies(interaction.channel, root, oldest=interaction.question_ts)
        messages = [message for message in replies if message.get("user") == self._bot.user_id]
        posted = {
            int(_payload(message).get("part", 0)): str(message["ts"])
            for message in messages
            if _payload(message).get("id") == interaction.id
        }
        begun = (
            str(message["ts"])
            for message in messages
            if not _payload(message) and streams(message, interaction.id)
        )
        return posted, next(begun, None)

    def _stop_streaming(self) -> None:
        self._can_stream = False


def _parts(answered: Answered, manner: Manner) -> list[_Part]:
    interaction = answered.interaction
    texts = answer_parts(interaction.answer or "")
    return [
        _Part(
            interaction=interaction,
            number=number,
            text=text,
            sources=answered.sources if number == len(texts) - 1 else (),
            last=number == len(texts) - 1,
            thumbs=manner.feedback,
            nearby=manner.nearby if interaction.abstained else None,
        )
        for number, text in enumerate(texts)
    ]


def _metadata(identity: str, part: int) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"id": identity, "part": part}}


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    payload = (message.get("metadata") or {}).get("event_payload")
    return payload if isinstance(payload, dict) else {}
