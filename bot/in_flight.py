"""Knows what is being worked on by tasks that others started, so that a stop can wait for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """A set of tasks that are in the middle of something."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Counts the current task while the block runs."""
        task = asyncio.current_task()
        if task is None or task in self._tasks:
            yield
            return
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    async def drain(self, seconds: float) -> None:
        """Waits until nothing is in flight, at most so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
