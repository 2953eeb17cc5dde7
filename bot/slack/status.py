"""Says that the bot is at work, best effort, and never leaves it standing.

Three things can say so in Slack: the status of an agent session, the status line of a thread, and
a stream that was started. A session never becomes idle by itself, so whatever was shown is taken
back on every way out; after a crash the process that takes the question over does it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.slack.api import SlackApi
from bot.slack.errors import Outcome, SlackRefusedError
from bot.slack.payloads import Question, plain_text
from bot.slack.views.blocks import clip, neutral
from feedback.errors import UnderstudyError

_log = logging.getLogger(__name__)

LOOKING = "is looking it up..."
_TITLE_CHARS = 80


@dataclass(frozen=True, kw_only=True)
class StatusPace:
    """When a status is shown.

    Attributes:
        after_s: Quick answers show none: it would cost calls and flicker.
        refresh_s: Seconds between repetitions; a thread's status line lives two minutes.
    """

    after_s: float = 1.0
    refresh_s: float = 90.0


class Work:
    """One question in work."""

    def __init__(self, board: "StatusBoard", question: Question, pace: StatusPace) -> None:
        self._board = board
        self._question = question
        self._pace = pace
        self._shown = False
        self._settled = asyncio.Event()
        self._teller = asyncio.create_task(self._tell(), name="status")

    def touched(self) -> None:
        """A stream was started: Slack shows the session as processing."""
        self._shown = True

    def released(self) -> None:
        """A stream was ended properly: Slack shows the session as active again."""
        self._shown = False

    async def settle(self) -> None:
        """Stops telling; a call in flight arrives first, so that the post after it clears it."""
        self._settled.set()
        await asyncio.shield(self._teller)

    async def clear(self) -> None:
        """Takes back what was shown."""
        await self.settle()
        if self._shown:
            await self._board.clear(self._question)

    async def _tell(self) -> None:
        wait_s = self._pace.after_s
        while not self._settled.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._settled.wait()
                    return
            self._shown = await self._board.show(self._question) or self._shown
            wait_s = self._pace.refresh_s


class StatusBoard:
    """Shows and clears the status of threads."""

    def __init__(self, api: SlackApi, pace: StatusPace | None = None) -> None:
        self._api = api
        self._pace = pace or StatusPace()
        self._sessions = True
        self._lines = True

    @asynccontextmanager
    async def working(self, question: Question) -> AsyncIterator[Work]:
        """Shows a status while the block takes long, and takes it back whatever happens."""
        work = Work(self, question, self._pace)
        try:
            yield work
        finally:
            await work.clear()

    async def show(self, question: Question) -> bool:
        """Shows that the bot is at work; True when it was shown."""
        if self._sessions:
            title = neutral(clip(plain_text(question.text, bot=""), _TITLE_CHARS))
            try:
                await self._api.set_session(
                    question.channel,
                    question.thread_ts,
                    "processing",
                    title=title,
                    initiator=question.by,
                )
            except UnderstudyError as exc:
                self._sessions = not _latched(exc)
            else:
                return True
        return await self._line(question, LOOKING)

    async def clear(self, question: Question) -> None:
        """Takes the status of a thread back, whoever showed it."""
        if self._sessions:
            try:
                await self._api.set_session(question.channel, question.thread_ts, "active")
            except UnderstudyError as exc:
                self._sessions = not _latched(exc)
            else:
                return
        await self._line(question, "")

    async def _line(self, question: Question, status: str) -> bool:
        if not self._lines:
            return False
        try:
            await self._api.set_status(question.channel, question.thread_ts, status)
        except UnderstudyError as exc:
            self._lines = not _latched(exc)
            return False
        return True


def _latched(exc: UnderstudyError) -> bool:
    """Whether asking again is of no use."""
    return isinstance(exc, SlackRefusedError) and exc.outcome is Outcome.UNSUPPORTED
