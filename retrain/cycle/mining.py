"""Step MINING: read everything people said, find the failures that repeat, store the patterns."""

from collections.abc import Callable
from dataclasses import asdict

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, StepResult
from feedback.domain.pattern import MiningResult
from feedback.mining.patterns import MiningPolicy, embed_records, mine
from feedback.ports import Embedder
from feedback.store.unit_of_work import Store


class MiningStep:
    """Mines the whole record; a second run on the same rows stores the same patterns."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        embedder: Embedder,
        off_brand: Callable[[str], bool] | None,
        policy: MiningPolicy,
    ) -> None:
        self._store = store
        self._clock = clock
        self._embedder = embedder
        self._off_brand = off_brand
        self._policy = policy

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Mines and stores; the cycle carries the counts."""
        async with self._store.begin() as tx:
            records = await tx.records.rated()
            previous = await tx.patterns.previous(self._embedder.id)
            used = await tx.patterns.used_ids()
        failures = sum(record.failed for record in records)
        result = MiningResult(patterns=(), unclustered=())
        if records:
            meaning = await embed_records(records, self._embedder)
            result = mine(
                records,
                meaning,
                previous=previous,
                used_ids=used,
                policy=self._policy,
                off_brand=self._off_brand,
            )
        async with self._store.begin() as tx:
            await tx.patterns.save(
                result,
                failures=failures,
                embedder_id=self._embedder.id,
                policy=asdict(self._policy),
                at=self._clock.now(),
            )
        return StepResult(
            reason=f"{failures} failures of {len(records)} answers form "
            f"{len(result.patterns)} patterns",
            context={"failures": failures, "patterns": len(result.patterns)},
        )
