"""One answer that people watch being written, and what to do when the stream breaks."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from bot.drafts import Source
from bot.slack.api import SlackApi
from bot.slack.errors import Outcome, SlackRefusedError
from bot.slack.views.blocks import ANSWER_CHARS, Block, escape
from bot.slack.views.progress import searching, streams, text_chunk, writing
from feedback.errors import TimedOutError, UnavailableError, UnderstudyError

_log = logging.getLogger(__name__)

_FOREVER_S = 3600.0


class Ending(StrEnum):
    """How a streamed message ended.

    DONE: it is the whole answer. REPLACE: it still has to be replaced by the whole answer.
    STOPPED: the reader pressed Stop and wants no more.
    """

    DONE = "done"
    REPLACE = "replace"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When something is sent.

    Attributes:
        first_chars: A shorter answer that comes soon is one post: a stream would cost an empty
            start and a stop.
        next_chars: Characters between appends: about 25 answers of full length a minute fit the
            tiers.
        start_s: Seconds after which a slow answer starts with what there is, to show progress.
        every_s: Seconds after which less than `next_chars` is sent.
        life_s: Seconds after which the stream is ended: Slack lets none live longer than five
            minutes.
    """

    first_chars: int = 256
    next_chars: int = 600
    start_s: float = 3.0
    every_s: float = 5.0
    life_s: float = 240.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a streamed message goes.

    Attributes:
        answer: Opaque id of the answer.
        after_ts: The question's; the message comes later.
        thread_ts: Root of the thread.
        recipient: `team:user` of the asker, who alone sees live text in channels.
    """

    answer: str
    channel: str
    thread_ts: str
    after_ts: str
    recipient: str


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Who wants to know what happens to a stream.

    Attributes:
        started: Told the message's ts as soon as there is one.
        unsupported: Called when the workspace cannot stream at all.
        stopped: Called when the reader pressed Stop.
    """

    started: Callable[[str], Awaitable[None]]
    unsupported: Callable[[], None] = field(default=lambda: None)
    stopped: Callable[[], None] = field(default=lambda: None)


class LiveAnswer:
    """Writes into a streamed message, beside the one who generates: it never makes him wait.

    Use it as a context manager around the generation, then call `finish`.
    """

    def __init__(self, api: SlackApi, place: Place, hooks: Hooks, pace: Pace) -> None:
        self._api = api
        self._place = place
        self._hooks = hooks
        self._pace = pace
        self._shown = ""
        self._buffer = ""
        self._sources: Sequence[Source] | None = None
        self._told = False
        self._broken = False
        self._ended = False
        self._stopped = False
        self._closing = False
        self._news = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._last = 0.0
        self._born = 0.0
        self.ts: str | None = None
        self.unsure = False
        """The stream may have begun although Slack did not say so."""
        self.ending: Ending | None = None

    async def __aenter__(self) -> Self:
        self._last = _now()
        self._sender = asyncio.create_task(self._send_as_it_comes(), name="live-answer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sender is None:
            return
        self._closing = True
        self._news.set()
        try:
            # Not cancelled: the call in flight may be the one that tells the message's ts.
            await asyncio.shield(self._sender)
        except asyncio.CancelledError:
            self._sender.cancel()
            raise

    async def found(self, sources: Sequence[Source]) -> None:
        """The documents were searched."""
        self._sources = sources
        self._told = False

    async def restart(self) -> None:
        """Another model begins the answer anew; what is shown is replaced at the end."""
        self._buffer = ""
        if self._shown:
            self._broken = True

    async def write(self, piece: str) -> None:
        """Takes a piece of the answer; it is sent when enough has come together."""
        if not self._shown and not self._buffer:
            piece = piece.lstrip()
        self._buffer += piece
        if len(self._buffer) >= self._wanted():
            self._news.set()

    async def finish(self, text: str, tail: Sequence[Block], metadata: dict[str, Any]) -> Ending:
        """Ends the stream with the rest of `text` and with what stands below it."""
        self.ending = await self._finish(text, tail, metadata)
        return self.ending

    async def _finish(self, text: str, tail: Sequence[Block], metadata: dict[str, Any]) -> Ending:
        if self._stopped:
            return Ending.STOPPED
        if self.ts is None:
            return Ending.REPLACE
        rest = None if self._broken or self._ended else _rest(text, self._shown)
        if rest is None:
            await self.end()
            return Ending.REPLACE if not self._stopped else Ending.STOPPED
        answer = self._place.answer
        chunks = [writing(answer, "complete"), *([text_chunk(escape(rest))] if rest else [])]
        if not self._told and self._sources is not None:
            chunks.insert(0, searching(answer, "complete", self._sources))
        try:
            await self._api.stop_stream(
                self._place.channel,
                self.ts,
                chunks=chunks,
                blocks=tail,
                metadata=metadata,
                session_status="active",
            )
        except UnderstudyError as exc:
            self._failed(exc)
            return Ending.STOPPED if self._stopped else Ending.REPLACE
        return Ending.DONE

    async def end(self) -> None:
        """Ends the stream as it is, best effort."""
        if self.ts is None or self._ended:
            return
        self._ended = True
        try:
            await self._api.stop_stream(self._place.channel, self.ts, session_status="processing")
        except UnderstudyError as exc:
            self._failed(exc)

    async def _send_as_it_comes(self) -> None:
        while not self._over():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience()):
                    await self._news.wait()
            self._news.clear()
            if self._over():
                return
            if self.ts is not None and _now() - self._born >= self._pace.life_s:
                _log.info("stream %s is old; the answer will replace it", self.ts)
                await self.end()
            elif self._due():
                await self._send()

    def _over(self) -> bool:
        return self._closing or self._broken or self._ended

    def _wanted(self) -> int:
        return self._pace.first_chars if self.ts is None else self._pace.next_chars

    def _patience(self) -> float:
        """Returns the seconds until something has to be sent at the latest."""
        now = _now()
        if self.ts is None:
            return _FOREVER_S if self._full() else max(0.0, self._last + self._pace.start_s - now)
        left = self._born + self._pace.life_s - now
        if not self._full():
            left = min(left, self._last + self._pace.every_s - now)
        return max(0.0, left)

    def _full(self) -> bool:
        """Whether the answer will be several posts, of which this stream is the first."""
        return len(self._shown) + len(self._buffer) > ANSWER_CHARS

    def _due(self) -> bool:
        if self._full():
            return False
        if len(self._buffer) >= self._wanted():
            return True
        waited = _now() - self._last
        if self.ts is None:
            return waited >= self._pace.start_s
        if waited < self._pace.every_s:
            return False
        self._last = _now()
        return bool(self._buffer) or not self._told

    async def _send(self) -> None:
        text, self._buffer = self._buffer, ""
        chunks = [*self._tasks(), *([text_chunk(escape(text))] if text else [])]
        self._last = _now()
        try:
            if self.ts is None:
                await self._start(chunks)
            else:
                await self._api.append_stream(self._place.channel, self.ts, chunks=chunks)
        except UnderstudyError as exc:
            self._failed(exc)
        else:
            self._shown += text

    async def _start(self, chunks: list[dict[str, Any]]) -> None:
        place = self._place
        try:
            self.ts = await self._api.start_stream(
                place.channel, place.thread_ts, place.recipient, chunks=chunks
            )
        except (UnavailableError, TimedOutError):
            # Perhaps only Slack's answer was lost, and the message stands half-open.
            self.unsure = True
            self.ts = await self._begun()
            if self.ts is None:
                raise
            self.unsure = False
        self._born = _now()
        await self._hooks.started(self.ts)

    async def _begun(self) -> str | None:
        place = self._place
        messages = await self._api.replies(place.channel, place.thread_ts, oldest=place.after_ts)
        return next((str(m["ts"]) for m in messages if streams(m, place.answer)), None)

    def _tasks(self) -> list[dict[str, Any]]:
        if self._told:
            return []
        self._told = True
        answer = self._place.answer
        if self._sources is None:
            return [searching(answer, "in_progress")]
        return [searching(answer, "complete", self._sources), writing(answer, "in_progress")]

    def _failed(self, exc: UnderstudyError) -> None:
        self._broken = True
        outcome = exc.outcome if isinstance(exc, SlackRefusedError) else None
        if outcome is Outcome.STOPPED:
            self._stopped = True
            self._hooks.stopped()
        elif outcome is Outcome.UNSUPPORTED:
            self._hooks.unsupported()
        _log.warning("the stream broke: %s", exc)


def _rest(text: str, shown: str) -> str | None:
    """Returns what is still missing; None when `text` does not go on from what is shown."""
    if text.startswith(shown):
        return text[len(shown) :]
    return "" if shown.rstrip() == text else None


def _now() -> float:
    return asyncio.get_running_loop().time()
