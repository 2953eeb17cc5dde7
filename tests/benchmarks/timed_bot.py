"""`understudy bot`, with a stopwatch: `python -m tests.benchmarks.timed_bot FILE`.

For every question it notes how long a worker had it in hand, from the claim until its inbox row
was closed with the posted answer, and how much of that it waited for the model's and for Slack's
HTTP. The rows are written to FILE when the bot stops.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2

from bot.worker import InboxWorkers
from deploy.commands.bot import bot
from feedback.domain.delivery import InboxRow


@dataclass(kw_only=True)
class Watch:
    """Seconds of one question."""

    total: float = 0.0
    model: float = 0.0
    slack: float = 0.0


_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)
_WATCHES: list[Watch] = []


def _timed(call: Callable[..., Awaitable[Any]], field: str) -> Callable[..., Awaitable[Any]]:
    async def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  (whatever `call` takes)
        started = time.perf_counter()
        try:
            return await call(*args, **kwargs)
        finally:
            watch = _WATCH.get()
            if watch is not None:
                spent = time.perf_counter() - started
                setattr(watch, field, getattr(watch, field) + spent)

    return timed


def _watched(
    work: Callable[[InboxWorkers, InboxRow], Awaitable[None]],
) -> Callable[[InboxWorkers, InboxRow], Awaitable[None]]:
    async def watched(self: InboxWorkers, row: InboxRow) -> None:
        watch = Watch()
        _WATCH.set(watch)
        started = time.perf_counter()
        await work(self, row)
        watch.total = time.perf_counter() - started
        if watch.slack:
            _WATCHES.append(watch)

    return watched


def main() -> None:
    """Runs the bot until it is told to stop."""
    InboxWorkers._work = _watched(InboxWorkers._work)  # type: ignore[assignment,method-assign]
    aiohttp.ClientSession._request = _timed(aiohttp.ClientSession._request, "slack")  # type: ignore[assignment,method-assign]
    httpx.AsyncClient.send = _timed(httpx.AsyncClient.send, "model")  # type: ignore[assignment,method-assign]
    httpx2.AsyncClient.send = _timed(httpx2.AsyncClient.send, "model")  # type: ignore[assignment,method-assign]
    try:
        bot()
    finally:
        Path(sys.argv[1]).write_text(json.dumps([asdict(watch) for watch in _WATCHES]))


if __name__ == "__main__":
    main()
