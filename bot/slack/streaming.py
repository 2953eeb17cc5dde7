"""One answer that people watch being written, and what to do when the stream breaks."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bot.slack.api import SlackApi
from bot.slack.errors import SlackRefusedError
from bot.slack.views.blocks import ANSWER_CHARS, Block, escape
from feedback.errors import UnderstudyError

_log = logging.getLogger(__name__)

FIRST_CHARS = 256
"""A shorter answer is one post: a stream would cost an empty start and a stop."""
NEXT_CHARS = 600
"""Characters between appends: about 25 answers of full length a minute fit the tiers."""

UNSUPPORTED = frozenset(
    ["unknown_method", "method_deprecated", "feature_not_enabled", "channel_type_not_supported"]
)


class LiveAnswer:
    """Writes into a streamed message; never raises while the model is talking.

    Args:
        channel: Where the question was asked.
        thread_ts: Root of its thread.
        recipient: `team:user` of the asker, who alone sees live text in channels.
        started: Told the message's ts as soon as there is one.
        unsupported: Called when the workspace cannot stream at all.
    """

    def __init__(
        self,
        api: SlackApi,
        *,
        channel: str,
        thread_ts: str,
        recipient: str,
        started: Callable[[str], Awaitable[None]],
        unsupported: Callable[[], None],
    ) -> None:
        self._api = api
        self._channel = channel
        self._thread_ts = thread_ts
        self._recipient = recipient
        self._started = started
        self._unsupported = unsupported
        self._shown = ""
        self._buffer = ""
        self._broken = False
        self.ts: str | None = None

    async def push(self, piece: str) -> None:
        """Takes a piece of the answer; sends when enough has come together."""
        self._buffer += piece
        enough = FIRST_CHARS if self.ts is None else NEXT_CHARS
        too_long = len(self._shown) + len(self._buffer) > ANSWER_CHARS
        if self._broken or too_long or len(self._buffer) < enough:
            return
        text, self._buffer = self._buffer, ""
        try:
            if self.ts is None:
                self.ts = await self._api.start_stream(
                    self._channel, self._thread_ts, escape(text), self._recipient
                )
                await self._started(self.ts)
            else:
                await self._api.append_stream(self._channel, self.ts, escape(text))
            self._shown += text
        except UnderstudyError as exc:
            self._broken = True
            if isinstance(exc, SlackRefusedError) and exc.code in UNSUPPORTED:
                self._unsupported()
            _log.warning("the stream broke, the answer will be posted whole: %s", exc)

    async def finish(self, text: str, tail: Sequence[Block], metadata: dict[str, Any]) -> bool:
        """Ends the stream with the rest of `text`.

        Returns:
            False when the message still has to be replaced by the whole text: the stream broke,
            or what was shown is not how the answer begins.
        """
        if self.ts is None:
            return False
        fits = not self._broken and text.startswith(self._shown)
        try:
            await self._api.stop_stream(
                self._channel,
                self.ts,
                text=escape(text[len(self._shown) :]) if fits else "",
                blocks=tail if fits else (),
                metadata=metadata,
            )
        except UnderstudyError as exc:
            _log.warning("the stream could not be ended: %s", exc)
            return False
        return fits
