"""Workers: take inbox rows under leases, in order per thread, and never lose one."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from feedback.domain.delivery import InboxRow
from feedback.errors import PermanentError, RetryableError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

Handle = Callable[[InboxRow], Awaitable[bool]]
"""Works on a row; True when it closed the row itself. Raises our errors."""

GiveUp = Callable[[InboxRow, Exception], Awaitable[None]]
"""Tells people that a row failed for good."""

LONGEST_WAIT_S = 60.0

_RESERVE = 2
"""Rows taken beyond the limit when they end or change work in hand."""


class LeaseLostError(RetryableError):
    """Another worker took the row over; whatever we were about to do is its business now."""


class PostponedError(RetryableError):
    """A row cannot be worked on before something outside changes; the attempt does not count.

    With `retry_after` it is tried again by then. Without, it is laid aside until its workspace is
    installed again.
    """


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How many rows at once, and how patiently.

    Attributes:
        name: Unique among all processes; names the owner of a lease.
        max_attempts: Tries before a row is given up; what cannot succeed is given up at once.
        lease_s: Seconds after which others may take over a row of a dead worker.
        retry_s: Seconds before the second try; doubled for each further one.
        poll_s: Seconds between looks when nothing wakes the workers.
        grace_s: Seconds that running work gets at a stop.
    """

    name: str
    workers: int = 8
    lease_s: float = 120.0
    max_attempts: int = 7
    retry_s: float = 1.0
    poll_s: float = 1.0
    grace_s: float = 20.0


class InboxWorkers:
    """Claims in one place and works in many tasks."""

    def __init__(
        self,
        store: Store,
        handle: Handle,
        give_up: GiveUp,
        settings: WorkerSettings,
        *,
        wakeup: asyncio.Event | None = None,
    ) -> None:
        self._store = store
        self._handle = handle
        self._give_up = give_up
        self._settings = settings
        self._wakeup = wakeup or asyncio.Event()
        self._active: dict[int, tuple[InboxRow, asyncio.Task[None]]] = {}

    def wake(self) -> None:
        """Says that there may be something to do."""
        self._wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then finishes what is in hand."""
        keeper = asyncio.create_task(self._keep_leases())
        stopper = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set():
                self._wakeup.clear()
                if not await self._claim():  # what comes now, or becomes possible, wakes us
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.poll_s):
                            await self._wakeup.wait()
            await self._drain()
        finally:
            for task in (keeper, stopper, *(task for _, task in self._active.values())):
                task.cancel()
            await asyncio.gather(keeper, stopper, return_exceptions=True)

    async def _claim(self) -> bool:
        """Starts work on what can be claimed now; returns whether there may be more."""
        free = self._settings.workers - len(self._active)
        urgent = free <= 0
        if urgent:
            free += _RESERVE
        if free <= 0:
            return False
        try:
            async with self._store.single() as tx:
                rows = await tx.inbox.claim(
                    self._settings.name,
                    lease_s=self._settings.lease_s,
                    limit=free,
                    urgent=urgent,
                )
        except RetryableError as exc:
            _log.warning("cannot claim work: %s", exc)
            await asyncio.sleep(self._settings.poll_s)
            return False
        for row in rows:
            task = asyncio.create_task(self._work(row), name=f"inbox-{row.id}")
            self._active[row.id] = (row, task)
        return len(rows) == free

    async def _work(self, row: InboxRow) -> None:
        try:
            if not await self._handle(row):
                async with self._store.single() as tx:
                    await tx.inbox.complete(row)
        except LeaseLostError:
            _log.warning("inbox row %s was taken over by another worker", row.id)
        except PostponedError as exc:
            await self._postpone(row, exc)
        except Exception as exc:  # whatever happens, the row must go on
            await self._failed(row, exc)
        finally:
            self._active.pop(row.id, None)
            self.wake()

    async def _postpone(self, row: InboxRow, exc: PostponedError) -> None:
        _log.warning("inbox row %s waits: %s", row.id, exc)
        try:
            async with self._store.begin() as tx:
                if exc.retry_after is None:
                    await tx.inbox.park(row, error=str(exc))
                else:
                    delay_s = min(exc.retry_after, LONGEST_WAIT_S)
                    await tx.inbox.postpone(row, error=str(exc), delay_s=delay_s)
                    self._wake_in(delay_s)
        except RetryableError:
            _log.exception("inbox row %s could not be given back", row.id)

    async def _failed(self, row: InboxRow, exc: Exception) -> None:
        error = f"{type(exc).__name__}: {exc}"
        last = row.attempts >= self._settings.max_attempts or isinstance(exc, PermanentError)
        _log.log(
            logging.ERROR if last else logging.WARNING,
            "inbox row %s failed at attempt %s: %s",
            row.id,
            row.attempts,
            error,
            exc_info=None if isinstance(exc, RetryableError) else exc,
        )
        try:
            if last:
                await self._give_up(row, exc)
            async with self._store.begin() as tx:
                if last:
                    await tx.inbox.give_up(row, error=error)
                else:
                    delay_s = backoff_s(row.attempts, exc, self._settings.retry_s)
                    await tx.inbox.retry(row, error=error, delay_s=delay_s)
                    self._wake_in(delay_s)
        except Exception:
            # The lease runs out by itself and the row comes back.
            _log.exception("inbox row %s could not be given back", row.id)

    async def _keep_leases(self) -> None:
        """Renews the leases of long work; work whose lease is lost is cancelled."""
        while True:
            await asyncio.sleep(self._settings.lease_s / 3)
            for row, task in list(self._active.values()):
                with contextlib.suppress(RetryableError):
                    async with self._store.single() as tx:
                        kept = await tx.inbox.renew(row, lease_s=self._settings.lease_s)
                    if not kept and row.id in self._active:
                        task.cancel()

    def _wake_in(self, seconds: float) -> None:
        """Looks again as soon as a row is due, and not at the next look round."""
        asyncio.get_running_loop().call_later(seconds, self.wake)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.wake()

    async def _drain(self) -> None:
        tasks = [task for _, task in self._active.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.grace_s)
        for row, task in list(self._active.values()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with contextlib.suppress(RetryableError):
                async with self._store.begin() as tx:
                    await tx.inbox.retry(row, error="stopped", delay_s=0.0)


def backoff_s(attempts: int, exc: Exception, first_s: float = 1.0) -> float:
    """Returns how long to wait before the next try: what was asked for, or a doubling delay.

    Args:
        attempts: Tries made.
        exc: How the last one failed.
        first_s: Longest delay after the first.
    """
    asked = exc.retry_after if isinstance(exc, RetryableError) else None
    if asked is not None:
        return min(asked, LONGEST_WAIT_S)
    return min(LONGEST_WAIT_S, first_s * 2.0 ** (attempts - 1)) * random.uniform(0.5, 1.0)
