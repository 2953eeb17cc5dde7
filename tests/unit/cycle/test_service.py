"""Ticks of one process never overlap, and a failing job store does not end them."""

import asyncio
import logging
from typing import Any

import pytest
from apscheduler.jobstores.memory import MemoryJobStore

from feedback.errors import UnavailableError
from retrain.scheduling.service import SchedulerService, _PatientScheduler
from tests.waiting import until


async def _lead() -> bool:
    return True


async def test_a_tick_during_another_does_nothing() -> None:
    begun: list[int] = []
    gate = asyncio.Event()

    async def work() -> bool:
        begun.append(len(begun))
        await gate.wait()
        return False

    service = SchedulerService(database_url="", tick_s=1.0, lead=_lead, work=work)
    first = asyncio.create_task(service.tick())
    await until(lambda: begun == [0])
    await service.tick()
    assert begun == [0]
    gate.set()
    await first
    await service.tick()
    assert begun == [0, 1]


async def test_a_tick_that_may_succeed_later_is_no_error() -> None:
    async def work() -> bool:
        raise UnavailableError("the database restarts")

    await SchedulerService(database_url="", tick_s=1.0, lead=_lead, work=work).tick()


class _Forgetful(MemoryJobStore):  # type: ignore[misc]
    """Fails to save the next run, once."""

    failures = 1

    def update_job(self, job: Any) -> None:  # noqa: ANN401  (ships no types)
        if self.failures:
            self.failures -= 1
            raise OSError("the database is gone")
        super().update_job(job)


async def test_a_store_that_fails_to_save_is_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs: list[int] = []
    scheduler = _PatientScheduler(jobstore_retry_interval=0.05, jobstores={"default": _Forgetful()})
    scheduler.start()
    try:
        with caplog.at_level(logging.CRITICAL):
            scheduler.add_job(lambda: runs.append(1), "interval", seconds=0.05)
            await until(lambda: len(runs) >= 3)
    finally:
        scheduler.shutdown(wait=False)
