"""Real bot processes, and the one who kills them."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bot.sandbox.messages import Draft
from bot.sandbox.server import RunningSandbox
from bot.sandbox.state import Channel
from feedback.store.unit_of_work import Store
from tests.waiting import until

COUNT = 2
START_LIMIT_S = 120.0
HELD_S = 0.2
"""How long nothing can be stored before a kill: whoever acknowledges meanwhile loses it."""


class Bots:
    """Two bots that share the work; a killed one is started again at once.

    Args:
        store: Of the database that they share.
        environment: Of the processes.
        log: File that takes what they say.
    """

    def __init__(
        self, sandbox: RunningSandbox, store: Store, environment: Mapping[str, str], log: Path
    ) -> None:
        self._sandbox = sandbox
        self._store = store
        self._environment = {**os.environ, **environment}
        self._log = log
        self._processes: list[asyncio.subprocess.Process] = []
        self.kills = 0
        self.posted = asyncio.Event()

    async def start(self) -> None:
        """Starts all of them and waits until each is connected."""
        self._watch_posts()
        for _ in range(COUNT):
            self._processes.append(await self._spawn())
        await self._connected(COUNT)

    async def kill_one(self, rng: random.Random) -> None:
        """Kills one with SIGKILL, at a bad moment.

        Half of the time just when an answer was posted: a message stands in Slack that nobody has
        recorded yet. Else while the database stores nothing: what was acknowledged before it is
        stored is lost.
        """
        await self._connected(1)
        victim = rng.randrange(COUNT)
        if rng.random() < 0.5:
            self.posted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self.posted.wait()
            await self._kill(victim)
        else:
            async with self._store.begin() as tx:
                await tx.connection.exec_driver_sql("lock table inbox in exclusive mode")
                await asyncio.sleep(HELD_S)
                await self._kill(victim)
        self.kills += 1
        self._processes[victim] = await self._spawn()

    async def _kill(self, victim: int) -> None:
        self._processes[victim].send_signal(signal.SIGKILL)
        await self._processes[victim].wait()

    async def stop(self) -> None:
        """Ends them in good order."""
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        for process in self._processes:
            await process.wait()

    def died(self) -> list[int]:
        """Returns the exit statuses of those that ended by themselves."""
        return [p.returncode for p in self._processes if p.returncode is not None]

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deploy", "bot", env=self._environment, stderr=log
            )

    async def _connected(self, count: int) -> None:
        await until(lambda: self._sandbox.sandbox.socket_mode.count >= count, START_LIMIT_S)

    def _watch_posts(self) -> None:
        messages = self._sandbox.sandbox.messages
        post: Callable[[Channel, Draft], dict[str, object]] = messages.post

        def noted(channel: Channel, draft: Draft) -> dict[str, object]:
            message = post(channel, draft)
            if draft.is_app:
                self.posted.set()
            return message

        messages.post = noted  # type: ignore[method-assign]


@asynccontextmanager
async def started(
    sandbox: RunningSandbox, store: Store, environment: Mapping[str, str], log: Path
) -> AsyncIterator[Bots]:
    """Yields running bots; leaves no process."""
    bots = Bots(sandbox, store, environment, log)
    try:
        await bots.start()
        yield bots
    finally:
        await bots.stop()
