"""One reader of the feed for many waiters."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from bot.sandbox.jsontypes import Json
from feedback.errors import TimedOutError, UnavailableError

T = TypeVar("T")

Call = Callable[[str, str, Mapping[str, Any]], Awaitable[Json]]

_POLL_S = 25
_RETRY_S = 0.2


class FeedFollower:
    """Long-polls `/sandbox/feed` while anybody waits, and asks every waiter about each change."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._task: asyncio.Task[None] | None = None
        self._listeners: set[Callable[[Json], None]] = set()
        self._started = asyncio.Event()

    async def stop(self) -> None:
        """Ends the polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def wait(
        self,
        now: Callable[[], Awaitable[T | None]],
        then: Callable[[Json], T | None],
        timeout_s: float,
        what: str,
    ) -> T:
        """Returns the first value that is there already or that a change brings.

        Args:
            now: Looks at the present state; asked once, and again after missed changes.
            then: Looks at one change.
            timeout_s: Real seconds.
            what: What was waited for, for the message.

        Raises:
            TimedOutError: Nothing came in time.
        """
        found: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        look = asyncio.Event()
        look.set()

        def listen(entry: Json) -> None:
            if entry["kind"] == "reset":
                look.set()
                return
            value = then(entry)
            if value is not None and not found.done():
                found.set_result(value)

        self._listeners.add(listen)
        looking = asyncio.create_task(_look_whenever(look, now, found))
        try:
            async with asyncio.timeout(timeout_s):
                await self._follow()
                return await found
        except TimeoutError:
            raise TimedOutError(f"waited {timeout_s} s for {what}") from None
        finally:
            self._listeners.discard(listen)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _follow(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        await self._started.wait()

    async def _poll(self) -> None:
        since: int | None = None
        while True:
            try:
                if since is None:
                    since = int((await self._call("GET", "feed", {"timeout": 0}))["seq"])
                    self._tell({"kind": "reset"})  # whoever looked before this may have missed one
                    self._started.set()
                answer = await self._call("GET", "feed", {"since": since, "timeout": _POLL_S})
            except UnavailableError:
                await asyncio.sleep(_RETRY_S)  # the sandbox restarts: go on when it is back
                continue
            since = int(answer["seq"])
            if answer["reset"]:
                self._tell({"kind": "reset"})
            for entry in answer["entries"]:
                self._tell(entry)

    def _tell(self, entry: Json) -> None:
        for listener in list(self._listeners):
            listener(entry)


async def _look_whenever(
    look: asyncio.Event, now: Callable[[], Awaitable[T | None]], found: asyncio.Future[T]
) -> None:
    while not found.done():
        await look.wait()
        look.clear()
        try:
            value = await now()
        except UnavailableError:
            look.set()
            await asyncio.sleep(_RETRY_S)
            continue
        except Exception as exc:
            if not found.done():
                found.set_exception(exc)
            return
        if value is not None and not found.done():
            found.set_result(value)
