"""In-memory twins of the ports: product code, held to the same contract tests as the real ones."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from feedback.domain.knowledge import Document
from feedback.knowledge.analysis import terms
from feedback.knowledge.repository import (
    FoundChunk,
    IndexState,
    IndexUpdate,
    NewChunk,
    RebuiltChunk,
    Scope,
    StoredChunk,
    Vector,
)
from feedback.ports import Vectors


class HashingEmbedder:
    """Deterministic bag-of-stems vectors by feature hashing: no weights, no start-up time.

    Texts that share words are near, others are far: enough for tests and for a first look, not
    for paraphrases.
    """

    def __init__(self, dimensions: int = 384) -> None:
        self._dimensions = dimensions
        self.embedded = 0
        """Texts embedded so far; tests of incremental work read it."""

    @property
    def id(self) -> str:
        """Names this space."""
        return f"hashing-{self._dimensions}/1"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), dimensions)."""
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            # A text without index terms must still have a direction of its own.
            for term in terms(text) or [f"\x00{text.strip().lower()}"]:
                digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
                value = int.from_bytes(digest, "big")
                vectors[row, value % self._dimensions] += 1.0 if value >> 63 else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return normalised


@dataclass(kw_only=True)
class _Stored:
    item: NewChunk
    embedder_id: str
    vector: Vector
    live: bool = True


class InMemoryKnowledgeRepository:
    """The knowledge index in dictionaries; held to the same contract as the SQL one."""

    def __init__(self) -> None:
        self._state: IndexState | None = None
        self._documents: dict[str, tuple[Document, str]] = {}
        self._chunks: dict[str, _Stored] = {}
        self._uris: dict[str, tuple[str, str]] = {}

    async def lock(self) -> None:
        """One task at a time uses this repository: there is nothing to wait for."""

    async def state(self) -> IndexState | None:
        """Returns the state of the index; None before the first sync."""
        return self._state

    async def live_documents(self) -> Mapping[str, str]:
        """Returns the content hash of every live document by id."""
        return {name: held[1] for name, held in self._documents.items()}

    async def live_chunks(self, doc_ids: Sequence[str] | None = None) -> Sequence[StoredChunk]:
        """Returns the live chunks of the named documents (None: all), by document and position."""
        chosen = [
            stored.item
            for stored in self._live().values()
            if doc_ids is None or stored.item.chunk.doc_id in doc_ids
        ]
        chosen.sort(key=lambda item: (item.chunk.doc_id, item.chunk.position))
        return [StoredChunk(chunk=item.chunk, length=item.length) for item in chosen]

    async def total_length(self) -> tuple[int, int]:
        """Returns `(live chunks, sum of their lengths)`."""
        live = self._live().values()
        return len(live), sum(stored.item.length for stored in live)

    async def stored_vectors(
        self, content_hashes: Sequence[str], embedder_id: str
    ) -> Mapping[str, Vector]:
        """Returns known vectors (of tombstoned chunks too) by content hash."""
        wanted = set(content_hashes)
        return {
            stored.item.chunk.content_hash: stored.vector
            for stored in self._chunks.values()
            if stored.item.chunk.content_hash in wanted and stored.embedder_id == embedder_id
        }

    async def apply(self, update: IndexUpdate) -> None:
        """Applies one sync."""
        for name in update.removed_documents:
            self._documents.pop(name, None)
        for document, content_hash in update.documents:
            self._documents[document.doc_id] = (document, content_hash)
            self._uris[document.doc_id] = (document.title, document.uri)
        for name in update.removed_chunks:
            self._chunks[name].live = False
        for name, position in update.moved.items():
            item = self._chunks[name].item
            self._chunks[name].item = replace(item, chunk=replace(item.chunk, position=position))
        for new in update.chunks:
            self._chunks[new.chunk.chunk_id] = _Stored(
                item=new, embedder_id=update.state.embedder_id, vector=new.vector
            )
        self._put_state(update.state)

    def _put_state(self, state: IndexState) -> None:
        self._state = replace(state, chunks=len(self._live()))

    async def replace_impacts(self, rebuilt: Sequence[RebuiltChunk], state: IndexState) -> None:
        """Replaces the postings and lengths of every live chunk, and the state."""
        for fresh in rebuilt:
            stored = self._chunks[fresh.chunk_id]
            stored.item = replace(stored.item, impacts=fresh.impacts, length=fresh.length)
        self._put_state(state)

    async def replace_vectors(self, vectors: Mapping[str, Vector], state: IndexState) -> None:
        """Replaces the vectors of the named chunks and the state: another embedder took over."""
        for name, vector in vectors.items():
            self._chunks[name].vector = vector
            self._chunks[name].embedder_id = state.embedder_id
        self._put_state(state)

    async def chunk_frequencies(self, terms: Sequence[str]) -> Mapping[str, int]:
        """Returns how many live chunks hold each term; unknown terms are left out."""
        counts = Counter(
            term
            for stored in self._live().values()
            for term in set(terms) & set(stored.item.impacts)
        )
        return dict(counts)

    async def candidates(
        self, weights: Mapping[str, float], vector: Vector, limit: int, scope: Scope
    ) -> Mapping[str, tuple[float, float]]:
        """Returns `(BM25, cosine)` of the union of both legs' `limit` best visible chunks."""
        visible = self._visible(scope)
        lexical = {name: _lexical(stored, weights) for name, stored in visible.items()}
        cosine = {name: float(stored.vector @ vector) for name, stored in visible.items()}
        matched = {
            name: lexical[name]
            for name, stored in visible.items()
            if set(weights) & set(stored.item.impacts)
        }
        best = {*_best(matched, limit), *_best(cosine, limit)}
        return {name: (lexical[name], cosine[name]) for name in best}

    async def find(self, chunk_ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Returns the named chunks, tombstoned ones too: old answers cite them."""
        found = {}
        for name in chunk_ids:
            if name in self._chunks:
                chunk = self._chunks[name].item.chunk
                title, uri = self._uris[chunk.doc_id]
                found[name] = FoundChunk(chunk=replace(chunk, title=title), uri=uri)
        return found

    def _live(self) -> dict[str, _Stored]:
        return {name: stored for name, stored in self._chunks.items() if stored.live}

    def _visible(self, scope: Scope) -> dict[str, _Stored]:
        seen = {}
        for name, stored in self._live().items():
            document, _ = self._documents[stored.item.chunk.doc_id]
            if document.audience not in {None, scope.audience}:
                continue
            if document.expires_at is None or document.expires_at > scope.at:
                seen[name] = stored
        return seen


def _lexical(stored: _Stored, weights: Mapping[str, float]) -> float:
    return sum(w * stored.item.impacts.get(term, 0.0) for term, w in weights.items())


def _best(scores: Mapping[str, float], limit: int) -> list[str]:
    return sorted(scores, key=lambda name: (-scores[name], name))[:limit]
