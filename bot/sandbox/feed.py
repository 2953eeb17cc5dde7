"""The feed of everything that changed: what the page and the simulated people wait on."""

import asyncio
from collections import deque

from bot.sandbox.jsontypes import Json, JsonValue


class Feed:
    """Numbered changes, kept for the last `size`, with long polling.

    After a restart numbers go on from where they were, but older changes are gone: a reader that
    asks for them is told `reset` and reads the state anew.
    """

    def __init__(self, size: int, last_seq: int) -> None:
        self._entries: deque[Json] = deque(maxlen=size)
        self._seq = last_seq
        self._oldest = last_seq + 1
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def seq(self) -> int:
        """The number of the latest change."""
        return self._seq

    def append(self, kind: str, **details: JsonValue) -> None:
        """Adds a change and wakes every waiting reader.

        Args:
            kind: What changed, e.g. `message`, `ephemeral`, `view`.
            details: JSON values; `only_for` limits the change to one user id.
        """
        self._seq += 1
        self._entries.append({"seq": self._seq, "kind": kind, **details})
        self._oldest = int(self._entries[0]["seq"])
        self._wake()

    def since(self, seq: int) -> tuple[list[Json], bool]:
        """Returns the changes after `seq`, and whether older ones are missing."""
        if seq > self._seq or seq + 1 < self._oldest:
            return [], True
        fresh = self._seq - seq
        if fresh <= 0:
            return [], False
        start = len(self._entries) - fresh
        return [self._entries[i] for i in range(start, len(self._entries))], False

    def release(self) -> None:
        """Sends every waiting reader home (a shutdown)."""
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, seq: int, timeout_s: float) -> tuple[list[Json], bool]:
        """Returns the changes after `seq`; waits up to `timeout_s` real seconds for the first."""
        entries, reset = self.since(seq)
        if entries or reset or timeout_s <= 0:
            return entries, reset
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)
        return self.since(seq)
