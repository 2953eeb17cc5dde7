"""The weekly rhythm of mining and its digest, whatever state a cycle is in."""

from datetime import datetime

from feedback.clock import Clock
from feedback.digest import DIGEST
from feedback.store.unit_of_work import Store
from retrain.cycle.mining import PatternMiner
from retrain.scheduling.schedule import CycleSchedule

DIGEST_TOLD_AT = "digest_told_at"
"""Switch: when the last digest was owed; the next one counts from there."""


class WeeklyDigest:
    """Mines and owes a digest whenever the schedule says so; missed ones count once.

    Args:
        channel: Operators' channel; empty: the patterns are mined and nobody is told.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        schedule: CycleSchedule,
        miner: PatternMiner,
        channel: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._miner = miner
        self._channel = channel

    async def tick(self) -> bool:
        """Does what is due; returns whether anything was.

        Raises:
            RetryableError: When it should be tried again.
        """
        now = self._clock.now()
        async with self._store.begin() as tx:
            told = await tx.switches.get(DIGEST_TOLD_AT)
            if told is None:  # the first week begins now
                await tx.switches.set(DIGEST_TOLD_AT, now.isoformat(), by="scheduler", at=now)
                return False
        if not self._schedule.due(datetime.fromisoformat(told), now):
            return False
        await self._miner.run()
        async with self._store.begin() as tx:
            if self._channel:
                await tx.outbox.add(
                    key=f"digest:{told}:0",  # whoever else leads owes the same one
                    kind=DIGEST,
                    payload={"channel": self._channel, "at": now.isoformat()},
                )
            await tx.switches.set(DIGEST_TOLD_AT, now.isoformat(), by="scheduler", at=now)
        return True
