"""The knowledge index in PostgreSQL: postings for BM25, pgvector for meaning."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from psycopg import AsyncCursor
from sqlalchemy import ColumnElement, RowMapping, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from feedback.domain.knowledge import Chunk
from feedback.errors import ConfigurationError
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
from feedback.store.knowledge_queries import CANDIDATES, RECOUNT
from feedback.store.tables.base import to_domain
from feedback.store.tables.knowledge import (
    EMBEDDING_DIMENSIONS,
    chunks,
    documents,
    knowledge_index,
)

_LOCK = 7_202_611
"""Key of the advisory lock that lets one sync run at a time."""

_BATCH = 500
"""Rows of one insert."""

_STATE = select(knowledge_index)

_EXACT_LIMIT = 5_000
"""Up to this many chunks the nearest vectors are found exactly, without the index."""


class SqlKnowledgeRepository:
    """The stored index; one instance works inside one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._state: IndexState | None = None

    async def lock(self) -> None:
        """Waits until no other sync is in progress; held to the end of the transaction."""
        await self._connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    async def state(self) -> IndexState | None:
        """Returns the state of the index; None before the first sync."""
        row = (await self._connection.execute(_STATE)).mappings().first()
        self._state = to_domain(IndexState, row) if row else None
        return self._state

    async def live_documents(self) -> Mapping[str, str]:
        """Returns the content hash of every live document by id."""
        rows = await self._connection.execute(
            select(documents.c.doc_id, documents.c.content_hash).where(
                documents.c.removed_at.is_(None)
            )
        )
        return {row.doc_id: row.content_hash for row in rows}

    async def live_chunks(self, doc_ids: Sequence[str] | None = None) -> Sequence[StoredChunk]:
        """Returns the live chunks of the named documents (None: all), by document and position."""
        query = _chunk_columns(chunks.c.length).where(chunks.c.removed_at.is_(None))
        if doc_ids is not None:
            query = query.where(chunks.c.doc_id.in_(doc_ids))
        rows = await self._connection.execute(query.order_by(chunks.c.doc_id, chunks.c.position))
        return [
            StoredChunk(chunk=to_domain(Chunk, row), length=row["length"])
            for row in rows.mappings()
        ]

    async def total_length(self) -> tuple[int, int]:
        """Returns `(live chunks, sum of their lengths)`."""
        row = (
            await self._connection.execute(
                select(func.count(), func.coalesce(func.sum(chunks.c.length), 0)).where(
                    chunks.c.removed_at.is_(None)
                )
            )
        ).one()
        return int(row[0]), int(row[1])

    async def stored_vectors(
        self, content_hashes: Sequence[str], embedder_id: str
    ) -> Mapping[str, Vector]:
        """Returns known vectors (of tombstoned chunks too) by content hash."""
        rows = await self._connection.execute(
            select(chunks.c.content_hash, chunks.c.embedding).where(
                chunks.c.content_hash.in_(content_hashes), chunks.c.embedder_id == embedder_id
            )
        )
        return {row.content_hash: np.asarray(row.embedding, dtype=np.float32) for row in rows}

    async def apply(self, update: IndexUpdate) -> None:
        """Applies one sync."""
        moment = update.state.built_at
        touched = await self._remove(update, moment)
        await self._put_documents(update, moment)
        for chunk_id, position in update.moved.items():
            await self._connection.execute(
                chunks.update().where(chunks.c.chunk_id == chunk_id).values(position=position)
            )
        await self._put_chunks(update, moment)
        touched |= {term for item in update.chunks for term in item.impacts}
        await self._connection.execute(RECOUNT, {"terms": sorted(touched)})
        await self._connection.execute(text("delete from terms where chunks = 0"))
        await self._put_state(update.state)

    async def _remove(self, update: IndexUpdate, moment: datetime) -> set[str]:
        """Tombstones documents and chunks, drops their postings; returns the terms they held."""
        await self._connection.execute(
            documents.update()
            .where(documents.c.doc_id.in_(update.removed_documents))
            .values(removed_at=moment)
        )
        numbers = await self._connection.execute(
            chunks.update()
            .where(chunks.c.chunk_id.in_(update.removed_chunks))
            .values(removed_at=moment)
            .returning(chunks.c.number)
        )
        gone = await self._connection.execute(
            text("delete from postings where chunk_number = any(:numbers) returning term"),
            {"numbers": [row.number for row in numbers]},
        )
        return {row.term for row in gone}

    async def _put_documents(self, update: IndexUpdate, moment: datetime) -> None:
        for document, content_hash in update.documents:
            values = {
                "title": document.title,
                "uri": document.uri,
                "audience": document.audience,
                "content_hash": content_hash,
                "updated_at": document.updated_at,
                "expires_at": document.expires_at,
                "indexed_at": moment,
                "removed_at": None,
            }
            await self._connection.execute(
                insert(documents)
                .values(doc_id=document.doc_id, **values)
                .on_conflict_do_update(index_elements=["doc_id"], set_=values)
            )

    async def _put_chunks(self, update: IndexUpdate, moment: datetime) -> None:
        for start in range(0, len(update.chunks), _BATCH):
            batch = update.chunks[start : start + _BATCH]
            statement = insert(chunks).values(
                [_chunk_values(item, update.state.embedder_id, moment) for item in batch]
            )
            renewed = {
                column.name: statement.excluded[column.name]
                for column in chunks.c
                if column.name not in {"chunk_id", "number"}
            }
            rows = await self._connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["chunk_id"], set_=renewed
                ).returning(chunks.c.chunk_id, chunks.c.number)
            )
            numbers = {row.chunk_id: row.number for row in rows}
            await self._copy_postings(
                (term, numbers[item.chunk.chunk_id], impact)
                for item in batch
                for term, impact in item.impacts.items()
            )

    async def _copy_postings(self, rows: Iterable[tuple[str, int, float]]) -> None:
        """Loads postings by COPY, many times faster than inserts."""
        raw = await self._connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        cursor: AsyncCursor[tuple[object, ...]]
        async with (
            driver.cursor() as cursor,
            cursor.copy("copy postings (term, chunk_number, impact) from stdin") as copy,
        ):
            for row in rows:
                await copy.write_row(row)

    async def _put_state(self, state: IndexState) -> None:
        live, _ = await self.total_length()
        values = {
            "analyser_version": state.analyser_version,
            "chunker_version": state.chunker_version,
            "embedder_id": state.embedder_id,
            "average_length": state.average_length,
            "chunks": live,
            "built_at": state.built_at,
        }
        await self._connection.execute(
            insert(knowledge_index)
            .values(id=1, **values)
            .on_conflict_do_update(index_elements=["id"], set_=values)
        )

    async def replace_impacts(self, rebuilt: Sequence[RebuiltChunk], state: IndexState) -> None:
        """Replaces the postings and lengths of every live chunk, and the state."""
        rows = await self._connection.execute(
            select(chunks.c.chunk_id, chunks.c.number).where(chunks.c.removed_at.is_(None))
        )
        numbers = {row.chunk_id: row.number for row in rows}
        await self._connection.execute(text("truncate postings, terms"))
        await self._copy_postings(
            (term, numbers[item.chunk_id], impact)
            for item in rebuilt
            for term, impact in item.impacts.items()
        )
        await self._connection.execute(
            text("insert into terms select term, count(*) from postings group by term")
        )
        await self._connection.execute(
            text(
                "update chunks set length = u.length from unnest(cast(:ids as text[]), "
                "cast(:lengths as int[])) u(chunk_id, length) where chunks.chunk_id = u.chunk_id"
            ),
            {
                "ids": [item.chunk_id for item in rebuilt],
                "lengths": [item.length for item in rebuilt],
            },
        )
        await self._put_state(state)

    async def replace_vectors(self, vectors: Mapping[str, Vector], state: IndexState) -> None:
        """Replaces the vectors of the named chunks and the state: another embedder took over."""
        for chunk_id, vector in vectors.items():
            _require_width(vector)
            await self._connection.execute(
                update(chunks)
                .where(chunks.c.chunk_id == chunk_id)
                .values(embedding=vector, embedder_id=state.embedder_id)
            )
        await self._put_state(state)

    async def chunk_frequencies(self, terms: Sequence[str]) -> Mapping[str, int]:
        """Returns how many live chunks hold each term; unknown terms are left out."""
        rows = await self._connection.execute(
            text("select term, chunks from terms where term = any(cast(:terms as text[]))"),
            {"terms": list(terms)},
        )
        return {row.term: row.chunks for row in rows}

    async def candidates(
        self, weights: Mapping[str, float], vector: Vector, limit: int, scope: Scope
    ) -> Mapping[str, tuple[float, float]]:
        """Returns `(BM25, cosine)` of the union of both legs' `limit` best visible chunks."""
        state = self._state or await self.state()
        exact = state is None or state.chunks <= _EXACT_LIMIT
        values = {
            "terms": list(weights),
            "weights": list(weights.values()),
            "vector": _literal(vector),
            "limit": limit,
            "audience": scope.audience,
            "at": scope.at,
        }
        for pool in (3 * limit, None):
            given = values | {"pool": pool}
            rows = (await self._connection.execute(CANDIDATES[exact], given)).all()
            if not rows or rows[0].visible >= limit or rows[0].pooled < 3 * limit:
                break
        return {row.chunk_id: (float(row.lexical), float(row.cosine)) for row in rows}

    async def find(self, chunk_ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Returns the named chunks, tombstoned ones too: old answers cite them."""
        rows = await self._connection.execute(
            _chunk_columns(documents.c.uri).where(chunks.c.chunk_id.in_(chunk_ids))
        )
        return {row["chunk_id"]: _found(row) for row in rows.mappings()}


async def tidy(engine: AsyncEngine) -> None:
    """Vacuums the index after a sync: searches then read the postings from their index alone."""
    async with engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(text("vacuum (analyze) documents, chunks, postings, terms"))


def _chunk_columns(*more: ColumnElement[Any]) -> Select[Any]:
    return select(
        chunks.c.chunk_id,
        chunks.c.doc_id,
        chunks.c.position,
        documents.c.title,
        chunks.c.heading,
        chunks.c.text,
        chunks.c.content_hash,
        *more,
    ).join(documents, documents.c.doc_id == chunks.c.doc_id)


def _chunk_values(item: NewChunk, embedder_id: str, moment: datetime) -> dict[str, Any]:
    _require_width(item.vector)
    return {
        "chunk_id": item.chunk.chunk_id,
        "doc_id": item.chunk.doc_id,
        "position": item.chunk.position,
        "heading": item.chunk.heading,
        "text": item.chunk.text,
        "length": item.length,
        "content_hash": item.chunk.content_hash,
        "embedder_id": embedder_id,
        "embedding": item.vector,
        "indexed_at": moment,
        "removed_at": None,
    }


def _found(row: RowMapping) -> FoundChunk:
    return FoundChunk(chunk=to_domain(Chunk, row), uri=row["uri"])


def _literal(vector: Vector) -> str:
    return "[" + ",".join(map(str, vector.tolist())) + "]"


def _require_width(vector: Vector) -> None:
    if len(vector) != EMBEDDING_DIMENSIONS:
        raise ConfigurationError(
            f"the embedder makes vectors of {len(vector)} dimensions, the schema holds "
            f"{EMBEDDING_DIMENSIONS}; use an embedder of that width or migrate the column"
        )
