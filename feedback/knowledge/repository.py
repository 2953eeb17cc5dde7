"""What sync and search ask of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feedback.domain.knowledge import Chunk, Document

Vector = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class IndexState:
    """What the stored impacts and vectors were computed with.

    Attributes:
        average_length: Mean term count of a chunk when the impacts were computed.
        chunks: Live chunks.
        built_at: When the last sync changed it.
    """

    analyser_version: str
    chunker_version: str
    embedder_id: str
    average_length: float
    chunks: int
    built_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewChunk:
    """A chunk to store, with its vector and its impacts."""

    chunk: Chunk
    vector: Vector
    impacts: Mapping[str, float]
    length: int


@dataclass(frozen=True, kw_only=True)
class StoredChunk:
    """A live chunk and its length in terms."""

    chunk: Chunk
    length: int


@dataclass(frozen=True, kw_only=True)
class RebuiltChunk:
    """Fresh impacts and length of a live chunk."""

    chunk_id: str
    impacts: Mapping[str, float]
    length: int


@dataclass(frozen=True, kw_only=True)
class IndexUpdate:
    """One sync, applied as a whole.

    Attributes:
        documents: Added or changed, with their content hashes.
        chunks: To add; a tombstoned one comes back to life.
        moved: New positions of live chunks.
        removed_chunks: To tombstone.
        removed_documents: To tombstone.
        state: The index after the update; `chunks` is counted by the store.
    """

    documents: Sequence[tuple[Document, str]] = ()
    chunks: Sequence[NewChunk] = ()
    moved: Mapping[str, int] = field(default_factory=dict)
    removed_chunks: Sequence[str] = ()
    removed_documents: Sequence[str] = ()
    state: IndexState


@dataclass(frozen=True, kw_only=True)
class FoundChunk:
    """A live chunk with what a hit shows of its document."""

    chunk: Chunk
    uri: str


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which documents a search may see; both legs obey it.

    Attributes:
        at: Documents that expired by then are left out.
        audience: Documents of this audience and those for everybody.
    """

    at: datetime
    audience: str | None = None


class KnowledgeRepository(Protocol):
    """The stored index. One instance works inside one transaction."""

    async def lock(self) -> None:
        """Waits until no other sync is in progress; held to the end of the transaction."""
        ...

    async def state(self) -> IndexState | None:
        """Returns the state of the index; None before the first sync."""
        ...

    async def live_documents(self) -> Mapping[str, str]:
        """Returns the content hash of every live document by id."""
        ...

    async def live_chunks(self, doc_ids: Sequence[str] | None = None) -> Sequence[StoredChunk]:
        """Returns the live chunks of the named documents (None: all), by document and position."""
        ...

    async def total_length(self) -> tuple[int, int]:
        """Returns `(live chunks, sum of their lengths)`."""
        ...

    async def stored_vectors(
        self, content_hashes: Sequence[str], embedder_id: str
    ) -> Mapping[str, Vector]:
        """Returns known vectors (of tombstoned chunks too) by content hash."""
        ...

    async def apply(self, update: IndexUpdate) -> None:
        """Applies one sync."""
        ...

    async def replace_impacts(self, rebuilt: Sequence[RebuiltChunk], state: IndexState) -> None:
        """Replaces the postings and lengths of every live chunk, and the state."""
        ...

    async def replace_vectors(self, vectors: Mapping[str, Vector], state: IndexState) -> None:
        """Replaces the vectors of the named chunks and the state: another embedder took over."""
        ...

    async def chunk_frequencies(self, terms: Sequence[str]) -> Mapping[str, int]:
        """Returns how many live chunks hold each term; unknown terms are left out."""
        ...

    async def candidates(
        self, weights: Mapping[str, float], vector: Vector, limit: int, scope: Scope
    ) -> Mapping[str, tuple[float, float]]:
        """Returns `(BM25, cosine)` of the union of both legs' `limit` best visible chunks."""
        ...

    async def find(self, chunk_ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Returns the named chunks, tombstoned ones too: old answers cite them."""
        ...
