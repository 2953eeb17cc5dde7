"""The scheduler process: APScheduler with its SQLAlchemy job store, one leader, one tick at a time.

APScheduler stores jobs as references to functions, so the job is a module-level function that finds
the running service by name in this process; the job row survives restarts, the service is rebuilt.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from feedback.errors import PermanentError, RetryableError

_log = logging.getLogger(__name__)
_SERVICES: dict[str, "SchedulerService"] = {}
_JOB = "understudy-tick"


async def run_tick(service: str) -> None:
    """The stored job: one tick of the named service of this process."""
    await _SERVICES[service].tick()


class _PatientScheduler(AsyncIOScheduler):  # type: ignore[misc]
    """Looks again when the job store fails in the middle of a look.

    APScheduler 3.11 waits for a store that cannot be read, and for good after one that fails to
    save the next run: its timer is never set again.
    """

    def _process_jobs(self) -> float | None:
        try:
            seconds: float | None = super()._process_jobs()
        except Exception as exc:
            _log.warning("the job store failed, looking again: %s", exc)
            return float(self.jobstore_retry_interval)
        return seconds


class SchedulerService:
    """Runs `work` every `tick_s` real seconds while this process leads."""

    def __init__(
        self,
        *,
        database_url: str,
        tick_s: float,
        lead: Callable[[], Awaitable[bool]],
        work: Callable[[], Awaitable[bool]],
    ) -> None:
        """Creates the service.

        Args:
            database_url: Of the job store (psycopg works synchronously there too).
            tick_s: Seconds between two looks.
            lead: Says whether this process is the leader.
            work: Does one unit; returns True when there is more to do at once.
        """
        self._lead = lead
        self._work = work
        self._tick_s = tick_s
        self._url = database_url
        self._stopped = asyncio.Event()
        self._at_work = asyncio.Lock()

    async def tick(self) -> None:
        """Works as long as there is something to do at once; never raises a retryable error."""
        if self._at_work.locked():
            return  # the tick of the start, or one before, is not done yet
        async with self._at_work:
            await self._work_through()

    async def _work_through(self) -> None:
        try:
            while await self._lead() and await self._work():
                if self._stopped.is_set():
                    return
        except RetryableError as exc:
            _log.warning("tick will be repeated: %s", exc, extra={"action": "tick_retry"})
        except PermanentError:
            _log.exception("tick failed", extra={"action": "tick_failed"})

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        _SERVICES[_JOB] = self
        scheduler = _PatientScheduler(
            jobstore_retry_interval=max(1.0, self._tick_s),
            jobstores={"default": SQLAlchemyJobStore(url=self._url)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
        )
        scheduler.start()
        scheduler.add_job(
            run_tick,
            "interval",
            args=[_JOB],
            seconds=self._tick_s,
            id=_JOB,
            replace_existing=True,
        )
        try:
            await self.tick()
            await self._stopped.wait()
        finally:
            scheduler.shutdown(wait=False)
            _SERVICES.pop(_JOB, None)
