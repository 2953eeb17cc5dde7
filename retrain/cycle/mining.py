"""Reads everything people said, finds the failures that repeat, stores the patterns."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, StepResult
from feedback.domain.interaction import InteractionRecord
from feedback.domain.pattern import MiningResult
from feedback.errors import ConfigurationError, InvalidInputError
from feedback.knowledge.search import KnowledgeSearch
from feedback.mining.naming import Namer, name_patterns
from feedback.mining.patterns import MiningPolicy, embed_records, mine
from feedback.mining.remembered import RememberingEmbedder, texts_of
from feedback.mining.signals import is_failure
from feedback.ports import Embedder
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.unit_of_work import Store
from feedback.tone import StyleGuide
from feedback.tone.rate import ToneJudge
from feedback.tone.scorer import PreparedTone, ToneModel

_log = logging.getLogger(__name__)

LOOKED_UP = 300
"""Newest unanswered questions that a run looks up in today's documents."""

KEPT_AT_ONCE = 512
"""Texts embedded and stored in one transaction; a run that is broken off goes on from there."""


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
        result, tone = MiningResult(patterns=(), unclustered=()), None
        if records:
            embedder = await self._remembering(records)
            judge = await self._judge(records, embedder)
            result = mine(
                records,
                await embed_records(records, embedder),
                previous=previous,
                used_ids=used,
                policy=self._policy,
                off_brand=None if judge is None else judge.off_brand,
                found_now=await self._found_now(records, embedder),
            )
            if self._namer is not None:
                result = await name_patterns(result, records, self._namer, known=labels)
            tone = None if judge is None else judge.week(records, self._clock.now())
        failures = sum(pattern.size for pattern in result.patterns) + len(result.unclustered)
        async with self._store.begin() as tx:
            await tx.patterns.save(
                result,
                previous=previous,
                failures=failures,
                embedder_id=self._embedder.id,
                policy=asdict(self._policy),
                at=self._clock.now(),
                tone=tone,
            )
        return Mined(answers=len(records), failures=failures, result=result)

    async def _remembering(self, records: Sequence[InteractionRecord]) -> RememberingEmbedder:
        """Returns an embedder that knows every text of the rows; new ones are embedded and kept."""
        space = self._embedder.id
        judged = self._scorer is not None and self._scorer.embedder_id == space
        texts = texts_of(records, answers=judged)
        async with self._store.begin() as tx:
            await tx.vectors.keep_only(texts.keys())
            known = await tx.vectors.kept(space, texts)
        embedder = RememberingEmbedder(self._embedder, known)
        new = [key for key, said in texts.items() if said not in known]
        for start in range(0, len(new), KEPT_AT_ONCE):
            batch = {key: texts[key] for key in new[start : start + KEPT_AT_ONCE]}
            vectors = await embedder.embed(list(batch.values()))
            async with self._store.begin() as tx:
                await tx.vectors.keep(space, batch, dict(zip(batch.values(), vectors, strict=True)))
        return embedder

    async def _judge(
        self, records: Sequence[InteractionRecord], embedder: Embedder
    ) -> ToneJudge | None:
        """Returns what tells an answer that violates the house voice."""
        if self._guide is None:
            return None
        if self._scorer is None:
            return ToneJudge(self._guide)
        answers = [record.answer for record in records if record.answer]
        try:
            prepared = await PreparedTone.of(self._scorer, embedder, answers)
        except InvalidInputError as exc:
            _log.warning("answers are judged by the rules alone: %s", exc)
            return ToneJudge(self._guide)
        return ToneJudge(StyleGuide(self._guide.rules, scorer=prepared), self._scorer)

    async def _found_now(
        self, records: Sequence[InteractionRecord], embedder: Embedder
    ) -> dict[str, float]:
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
            search = KnowledgeSearch(repository, embedder, clock=self._clock)
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
