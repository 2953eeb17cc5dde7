"""Brings the index to the operator's documents: only what is new is embedded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from feedback.clock import Clock, SystemClock
from feedback.domain.knowledge import Chunk, Document, SyncCounts
from feedback.errors import ConfigurationError, InvalidInputError
from feedback.knowledge.analysis import ANALYSER_VERSION
from feedback.knowledge.bm25 import Bm25Policy, impacts, term_counts
from feedback.knowledge.chunking import CHUNKER_VERSION, chunk, document_hash
from feedback.knowledge.repository import (
    IndexState,
    IndexUpdate,
    KnowledgeRepository,
    NewChunk,
    RebuiltChunk,
    Vector,
)
from feedback.ports import Embedder

_EMBED_BATCH = 64
_DRIFT = 0.05
"""Share by which the mean chunk length may move before every impact is computed anew."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a sync has to do."""

    counts: SyncCounts
    touched: Sequence[tuple[Document, str]]
    new: Sequence[Chunk]
    moved: Mapping[str, int]
    removed_chunks: Sequence[str]
    removed_documents: Sequence[str]
    removed_length: int


class KnowledgeSync:
    """Compares the documents with the index and applies the difference."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        embedder: Embedder,
        policy: Bm25Policy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._repository = repository
        self._embedder = embedder
        self._policy = policy or Bm25Policy()
        self._clock = clock or SystemClock()

    async def sync(
        self,
        documents: Sequence[Document],
        *,
        keep: Sequence[str] = (),
        reembed: bool = False,
    ) -> SyncCounts:
        """Makes the index hold exactly `documents` (and those named in `keep`).

        Args:
            documents: All documents there are; an indexed one that is missing is tombstoned.
            keep: Ids of documents that exist but could not be read this time: left as they are.
            reembed: Embed everything anew when the index was made by another embedder.

        Raises:
            InvalidInputError: When a document id occurs twice.
            ConfigurationError: When the index holds vectors of another embedder.
            UnavailableError: When the embedding service or the database cannot be reached.
        """
        _refuse_twins(documents)
        await self._repository.lock()
        state = await self._repository.state()
        foreign = state is not None and state.embedder_id != self._embedder.id
        if foreign and not reembed:
            assert state is not None
            raise ConfigurationError(other_embedder(state.embedder_id, self._embedder.id))
        plan = await self._plan(documents, keep)
        counted = {item.chunk_id: term_counts(item, self._policy) for item in plan.new}
        wanted = await self._wanted_state(plan, counted)
        steady = state is not None and _steady(state, wanted)
        if steady:
            assert state is not None
            wanted = replace(wanted, average_length=state.average_length)
        vectors, embedded = await self._vectors(plan.new)
        if plan.touched or plan.removed_documents or state is None:
            await self._repository.apply(self._update(plan, counted, vectors, wanted))
        if not steady and state is not None:
            await self._rebuild(wanted)
        if foreign:
            embedded += await self._reembed(wanted, {item.chunk_id for item in plan.new})
        return replace(plan.counts, embedded_chunks=embedded)

    async def _plan(self, documents: Sequence[Document], keep: Sequence[str]) -> _Plan:
        live = await self._repository.live_documents()
        hashes = {document.doc_id: document_hash(document) for document in documents}
        touched = [d for d in documents if live.get(d.doc_id) != hashes[d.doc_id]]
        gone = sorted(set(live) - set(hashes) - set(keep))
        stored = await self._repository.live_chunks([*gone, *(d.doc_id for d in touched)])
        old = {item.chunk.chunk_id: item for item in stored}
        fresh = {item.chunk_id: item for document in touched for item in chunk(document)}
        removed = [chunk_id for chunk_id in old if chunk_id not in fresh]
        return _Plan(
            counts=SyncCounts(
                added=sum(1 for document in touched if document.doc_id not in live),
                changed=sum(1 for document in touched if document.doc_id in live),
                removed=len(gone),
                unchanged=len(documents) - len(touched),
            ),
            touched=[(document, hashes[document.doc_id]) for document in touched],
            new=[item for chunk_id, item in fresh.items() if chunk_id not in old],
            moved={
                chunk_id: item.position
                for chunk_id, item in fresh.items()
                if chunk_id in old and old[chunk_id].chunk.position != item.position
            },
            removed_chunks=removed,
            removed_documents=gone,
            removed_length=sum(old[chunk_id].length for chunk_id in removed),
        )

    async def _wanted_state(self, plan: _Plan, counted: Mapping[str, Counter[str]]) -> IndexState:
        count, total = await self._repository.total_length()
        count += len(plan.new) - len(plan.removed_chunks)
        total += sum(bag.total() for bag in counted.values()) - plan.removed_length
        return IndexState(
            analyser_version=ANALYSER_VERSION,
            chunker_version=CHUNKER_VERSION,
            embedder_id=self._embedder.id,
            average_length=total / count if count else 1.0,
            chunks=count,
            built_at=self._clock.now(),
        )

    async def _vectors(self, chunks: Sequence[Chunk]) -> tuple[dict[str, Vector], int]:
        """Returns vectors by content hash and how many of them had to be computed."""
        hashes = list(dict.fromkeys(item.content_hash for item in chunks))
        known = await self._repository.stored_vectors(hashes, self._embedder.id)
        vectors = dict(known)
        missing = {i.content_hash: i for i in chunks if i.content_hash not in vectors}
        vectors.update(await self._embed(missing))
        return vectors, len(missing)

    async def _embed(self, chunks: Mapping[str, Chunk]) -> dict[str, Vector]:
        names = list(chunks)
        vectors: dict[str, Vector] = {}
        for start in range(0, len(names), _EMBED_BATCH):
            batch = names[start : start + _EMBED_BATCH]
            rows = await self._embedder.embed(
                [f"{chunks[name].path}\n{chunks[name].text}" for name in batch]
            )
            vectors.update(zip(batch, rows, strict=True))
        return vectors

    def _update(
        self,
        plan: _Plan,
        counted: Mapping[str, Counter[str]],
        vectors: Mapping[str, Vector],
        state: IndexState,
    ) -> IndexUpdate:
        return IndexUpdate(
            documents=plan.touched,
            chunks=[
                NewChunk(
                    chunk=item,
                    vector=vectors[item.content_hash],
                    impacts=impacts(counted[item.chunk_id], state.average_length, self._policy),
                    length=counted[item.chunk_id].total(),
                )
                for item in plan.new
            ],
            moved=plan.moved,
            removed_chunks=plan.removed_chunks,
            removed_documents=plan.removed_documents,
            state=state,
        )

    async def _rebuild(self, state: IndexState) -> None:
        """Computes every impact anew, from the chunks' own average length."""
        counted = {
            item.chunk.chunk_id: term_counts(item.chunk, self._policy)
            for item in await self._repository.live_chunks()
        }
        average = sum(bag.total() for bag in counted.values()) / max(len(counted), 1)
        state = replace(state, average_length=average or 1.0)
        await self._repository.replace_impacts(
            [
                RebuiltChunk(
                    chunk_id=name,
                    impacts=impacts(bag, state.average_length, self._policy),
                    length=bag.total(),
                )
                for name, bag in counted.items()
            ],
            state,
        )

    async def _reembed(self, state: IndexState, done: set[str]) -> int:
        stored = await self._repository.live_chunks()
        chunks = {
            item.chunk.chunk_id: item.chunk for item in stored if item.chunk.chunk_id not in done
        }
        await self._repository.replace_vectors(await self._embed(chunks), state)
        return len(chunks)


def other_embedder(stored: str, given: str) -> str:
    """Returns the sentence about an index of another embedder."""
    return (
        f"the index holds vectors of embedder {stored!r}, this process uses {given!r}: vectors of "
        "two embedders cannot be compared; use the same embedder, or embed everything anew with "
        "`understudy knowledge sync PATH --reembed`"
    )


def _steady(state: IndexState, wanted: IndexState) -> bool:
    """Whether the stored impacts are still good enough: same analyser, little drift."""
    moved = abs(wanted.average_length / state.average_length - 1)
    return state.analyser_version == wanted.analyser_version and moved <= _DRIFT


def _refuse_twins(documents: Sequence[Document]) -> None:
    twice = [name for name, n in Counter(d.doc_id for d in documents).items() if n > 1]
    if twice:
        raise InvalidInputError(
            f"document id {twice[0]!r} occurs more than once; give every document its own id"
        )
