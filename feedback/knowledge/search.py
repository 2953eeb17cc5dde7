"""Searches both legs, fuses them, and says whether the documents answer the question at all."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from feedback.clock import Clock, SystemClock
from feedback.domain.knowledge import Hit, SearchResult, Signals
from feedback.errors import ConfigurationError
from feedback.knowledge.analysis import COURTESY_STEMS, terms
from feedback.knowledge.bm25 import idf
from feedback.knowledge.fusion import fuse
from feedback.knowledge.questions import essence
from feedback.knowledge.repository import FoundChunk, IndexState, KnowledgeRepository, Scope
from feedback.knowledge.sync import other_embedder
from feedback.ports import Embedder

_CANDIDATES = 100
_SHOWN_FOR_COVERAGE = 3


@dataclass(frozen=True, kw_only=True)
class AnswerablePolicy:
    """A logistic model of "the documents answer this": weights per signal and a threshold.

    The weights belong to all-MiniLM-L6-v2's space. They were fitted on half of FeedbackQA's
    documents with their questions and on half of the sample company, against bank, chat,
    arithmetic and general questions and against the same questions with their document taken
    out. Refit them on a deployment's confirmed cases.

    Attributes:
        threshold: Probability from which a question counts as answerable.
    """

    intercept: float = -6.96
    top_cosine: float = 7.02
    gap: float = 5.6
    lexical: float = 0.33
    coverage: float = 1.61
    agreement: float = 0.88
    threshold: float = 0.45

    def probability(self, signals: Signals) -> float:
        """Returns the probability, 0..1, that the documents answer the question."""
        total = (
            self.intercept
            + self.top_cosine * signals.top_cosine
            + self.gap * signals.gap
            + self.lexical * signals.lexical
            + self.coverage * signals.coverage
            + self.agreement * signals.agreement
        )
        return 1.0 / (1.0 + math.exp(-total))


@dataclass(frozen=True, kw_only=True)
class SearchPolicy:
    """Constants of the search.

    Attributes:
        vector_share: Weight of the vector leg in the convex sum.
    """

    vector_share: float = 0.6
    answerable: AnswerablePolicy = field(default_factory=AnswerablePolicy)


class KnowledgeSearch:
    """Answers "which passages, and do they answer it" for one question at a time."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        embedder: Embedder,
        policy: SearchPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._repository = repository
        self._embedder = embedder
        self._policy = policy or SearchPolicy()
        self._clock = clock or SystemClock()

    async def search(
        self, question: str, k: int = 5, *, audience: str | None = None
    ) -> SearchResult:
        """Returns the `k` best passages for a question.

        Args:
            question: Plain text.
            k: Hits wanted.
            audience: See documents of this audience besides those for everybody.

        Raises:
            ConfigurationError: When the index was made by another embedder.
            UnavailableError: When the embedding service or the database cannot be reached.
        """
        state = await self._repository.state()
        if state is None or state.chunks == 0 or not question.strip():
            return SearchResult()
        if state.embedder_id != self._embedder.id:
            raise ConfigurationError(other_embedder(state.embedder_id, self._embedder.id))
        asked = essence(question)
        weights = await self.weights(asked, state)
        vector = (await self._embedder.embed([asked]))[0]
        scope = Scope(at=self._clock.now(), audience=audience)
        scored = await self._repository.candidates(weights, vector, _CANDIDATES, scope)
        if not scored:
            return SearchResult()
        return await self._result(scored, weights, k)

    async def weights(self, question: str, state: IndexState) -> dict[str, float]:
        """Returns each question term's idf; terms no document holds weigh most."""
        asked = list(dict.fromkeys(terms(question)))
        held = await self._repository.chunk_frequencies(asked)
        return {term: idf(state.chunks, held.get(term, 0)) for term in asked}

    async def _result(
        self, scored: Mapping[str, tuple[float, float]], weights: Mapping[str, float], k: int
    ) -> SearchResult:
        lexical = {chunk: pair[0] for chunk, pair in scored.items()}
        cosine = {chunk: pair[1] for chunk, pair in scored.items()}
        fused = fuse(lexical, cosine, vector_share=self._policy.vector_share)
        order = sorted(fused, key=lambda chunk: (-fused[chunk], chunk))
        found = await self._repository.find(order[: max(k, _SHOWN_FOR_COVERAGE)])
        shown = [found[chunk] for chunk in order[:_SHOWN_FOR_COVERAGE]]
        signals = self._signals(lexical, cosine, weights, shown)
        best = max(fused[order[0]], 1e-9)
        hits = tuple(
            _hit(found[chunk], signals.probability * fused[chunk] / best) for chunk in order[:k]
        )
        answerable = signals.probability >= self._policy.answerable.threshold
        return SearchResult(hits=hits, answerable=answerable, signals=signals)

    def _signals(
        self,
        lexical: Mapping[str, float],
        cosine: Mapping[str, float],
        weights: Mapping[str, float],
        shown: Sequence[FoundChunk],
    ) -> Signals:
        near = sorted(cosine.values(), reverse=True)
        total = sum(weights.values())
        covered = {term for item in shown for term in terms(f"{item.chunk.path} {item.chunk.text}")}
        winner = max(lexical, key=lambda chunk: (lexical[chunk], chunk))
        tenth = near[min(9, len(near) - 1)]
        raw = Signals(
            top_cosine=near[0],
            gap=near[0] - statistics.median(near),
            lexical=max(lexical.values()) / total if total else 0.0,
            coverage=sum(w for t, w in weights.items() if t in covered) / total if total else 0.0,
            agreement=1.0 if lexical[winner] > 0 and cosine[winner] >= tenth else 0.0,
        )
        has_subject = any(not term.isdigit() and term not in COURTESY_STEMS for term in weights)
        probability = self._policy.answerable.probability(raw) if has_subject else 0.0
        return replace(raw, probability=probability)


def _hit(found: FoundChunk, score: float) -> Hit:
    return Hit(
        doc_id=found.chunk.doc_id,
        chunk_id=found.chunk.chunk_id,
        score=score,
        title=found.chunk.title,
        heading=found.chunk.heading,
        text=found.chunk.text,
        uri=found.uri,
    )
