"""Reads everything people said, finds the failures that repeat, stores the patterns."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, StepResult
from feedback.domain.interaction import InteractionRecord
from feedback.domain.pattern import MiningResult
from feedback.errors import ConfigurationError, InvalidInputError
from feedback.knowledge.search import KnowledgeSearch
from feedback.mining.naming import Namer, name_patterns
from feedback.mining.patterns import MiningPolicy, embed_records, mine
from feedback.mining.signals import is_failure
from feedback.ports import Embedder
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.unit_of_work import Store
from feedback.tone import StyleGuide
from feedback.tone.scorer import PreparedTone, ToneModel

_log = logging.getLogger(__name__)

LOOKED_UP = 300
"""Newest unanswered questions that a run looks up in today's documents."""


@dataclass(frozen=True, kw_only=True)
class Mined:
    """What a run read and found."""

    answers: int
    failures: int
    result: MiningResult


class PatternMiner:
    """Mines the whole record; a second run on the same rows stores the same patterns."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        embedder: Embedder,
        guide: StyleGuide | None,
        policy: MiningPolicy,
        scorer: ToneModel | None = None,
        namer: Namer | None = None,
    ) -> None:
        """Creates the miner.

        Args:
            store: The record.
            clock: Runs are dated by it.
            embedder: Of questions, corrections and, with a scorer, answers.
            guide: Whose violations are tone failures.
            policy: Constants.
            scorer: Learnt from tags; judges beside the rules.
            namer: Names patterns; None leaves the keywords.
        """
        self._store = store
        self._clock = clock
        self._embedder = embedder
        self._guide = guide
        self._scorer = scorer
        self._namer = namer
        self._policy = policy

    async def run(self) -> Mined:
        """Mines and stores.

        Raises:
            UnavailableError: When the embedder or the database cannot be reached.
        """
        async with self._store.begin() as tx:
            records = await tx.records.rated()
            previous = await tx.patterns.previous(self._embedder.id)
            used = await tx.patterns.used_ids()
            labels = await tx.patterns.labels()
        result = MiningResult(patterns=(), unclustered=())
        if records:
            meaning = await embed_records(records, self._embedder)
            result = mine(
                records,
                meaning,
                previous=previous,
                used_ids=used,
                policy=self._policy,
                off_brand=await self._off_brand(records),
                found_now=await self._found_now(records),
            )
            if self._namer is not None:
                result = await name_patterns(result, records, self._namer, known=labels)
        failures = sum(pattern.size for pattern in result.patterns) + len(result.unclustered)
        async with self._store.begin() as tx:
            await tx.patterns.save(
                result,
                previous=previous,
                failures=failures,
                embedder_id=self._embedder.id,
                policy=asdict(self._policy),
                at=self._clock.now(),
            )
        return Mined(answers=len(records), failures=failures, result=result)

    async def _off_brand(
        self, records: Sequence[InteractionRecord]
    ) -> Callable[[str], bool] | None:
        """Returns what tells an answer that violates the house voice."""
        guide = self._guide
        if guide is None:
            return None
        if self._scorer is not None:
            answers = [record.answer for record in records if record.answer]
            try:
                prepared = await PreparedTone.of(self._scorer, self._embedder, answers)
            except InvalidInputError as exc:
                _log.warning("answers are judged by the rules alone: %s", exc)
            else:
                guide = StyleGuide(guide.rules, scorer=prepared)
        judge = guide
        return lambda answer: bool(answer) and not judge.is_on_brand(answer)

    async def _found_now(self, records: Sequence[InteractionRecord]) -> dict[str, float]:
        """Looks questions that found nothing up again: the missing document may be there by now."""
        limit = self._policy.verdict.missing_score
        unanswered = [
            record
            for record in records
            if is_failure(record)
            and max((hit.score for hit in record.retrieved), default=0.0) < limit
        ][-LOOKED_UP:]
        found: dict[str, float] = {}
        scores: dict[str, float] = {}
        async with self._store.begin() as tx:
            repository = SqlKnowledgeRepository(tx.connection)
            search = KnowledgeSearch(repository, self._embedder, clock=self._clock)
            try:
                for record in unanswered:
                    if record.question not in scores:
                        hits = (await search.search(record.question, 1)).hits
                        scores[record.question] = hits[0].score if hits else 0.0
                    found[record.id] = scores[record.question]
            except ConfigurationError as exc:
                _log.warning("questions are not looked up again: %s", exc)
        return found


class MiningStep:
    """Step MINING of a cycle."""

    def __init__(self, miner: PatternMiner) -> None:
        self._miner = miner

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Mines; the cycle carries the counts."""
        mined = await self._miner.run()
        patterns = len(mined.result.patterns)
        return StepResult(
            reason=f"{mined.failures} failures of {mined.answers} answers form {patterns} patterns",
            context={"failures": mined.failures, "patterns": patterns},
        )
