"""How a Web API call is made: in its turn, within a limit, and repeated where that does no harm.

This is the one layer that repeats calls, in place of slack_sdk's retry handlers, which know neither
the budget nor errors in a body nor 502.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.budget import BEST_EFFORT, Budget, StreamRoom, limit_s, patience_s
from bot.slack.errors import slack_errors
from feedback.errors import OverloadedError, TimedOutError, UnavailableError

RATE_LIMIT_TRIES = 3
"""Calls in a row that Slack may refuse for being too fast before the work is put off."""

Call = Callable[..., Awaitable[AsyncSlackResponse]]


class Calls:
    """Makes the calls of one workspace.

    Every try takes its turn in the budget, and a refusal for being too fast holds the method back
    for everybody. Raises what `slack_errors` raises.

    Args:
        budget: Of the workspace.
        repeat_s: Seconds before a failed call is repeated.
        limit_s: Seconds that a call of a method takes at the longest, all its tries together.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        repeat_s: float = 0.5,
        limit_s: Callable[[str], float] = limit_s,
    ) -> None:
        self._budget = budget
        self._repeat_s = repeat_s
        self._limit_s = limit_s

    def stream_room(self) -> StreamRoom | None:
        """Sets the calls of a whole streamed answer aside; None when they would have to wait."""
        return self._budget.stream_room()

    async def repeatably(self, method: str, call: Call, **arguments: object) -> AsyncSlackResponse:
        """Makes a call that does no harm twice; a failing Slack is asked once more."""
        return await self._in_time(method, call, None, arguments, repeats=1)

    async def once(
        self, method: str, call: Call, *, room: StreamRoom | None = None, **arguments: object
    ) -> AsyncSlackResponse:
        """Makes a call that Slack must not get twice.

        One whose answer was lost may have arrived; the one who posts reconciles first.
        """
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
