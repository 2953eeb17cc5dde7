"""Documents, their chunks with vectors, BM25 postings, and the state of the index."""

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    REAL,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from feedback.store.tables.base import metadata, moment

EMBEDDING_DIMENSIONS = 384
"""Width of all-MiniLM-L6-v2; another embedder of another width needs a migration."""

documents = Table(
    "documents",
    metadata,
    Column("doc_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("uri", Text, nullable=False, server_default=""),
    Column("audience", Text),
    Column("content_hash", Text, nullable=False),
    moment("updated_at", nullable=True),
    moment("expires_at", nullable=True),
    moment("indexed_at"),
    moment("removed_at", nullable=True),
)

# A removed chunk is tombstoned, not deleted: old answers cite it.
chunks = Table(
    "chunks",
    metadata,
    Column("chunk_id", Text, primary_key=True),
    Column("number", Integer, Identity(), nullable=False),
    Column("doc_id", ForeignKey("documents.doc_id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("length", Integer, nullable=False),
    Column("content_hash", Text, nullable=False, index=True),
    Column("embedder_id", Text, nullable=False),
    Column("embedding", Vector(EMBEDDING_DIMENSIONS), nullable=False),
    moment("indexed_at"),
    moment("removed_at", nullable=True),
    UniqueConstraint("number"),
    # Used from 5,000 chunks on; smaller sets are searched exactly.
    Index(
        "ix_chunks_embedding",
        "embedding",
        postgresql_using="hnsw",
        postgresql_ops={"embedding": "vector_cosine_ops"},
        postgresql_where=text("removed_at IS NULL"),
    ),
)

# No foreign key: postings of removed chunks are deleted with the tombstone, in one transaction,
# and a key check per posting would double the time of a load.
postings = Table(
    "postings",
    metadata,
    Column("term", Text, nullable=False),
    Column("chunk_number", Integer, nullable=False, index=True),
    Column("impact", REAL, nullable=False),
    Index("ix_postings_term_covering", "term", postgresql_include=["chunk_number", "impact"]),
)

terms = Table(
    "terms",
    metadata,
    Column("term", Text, primary_key=True),
    Column("chunks", Integer, nullable=False),
)

# One row: what the stored impacts and vectors were computed with.
knowledge_index = Table(
    "knowledge_index",
    metadata,
    Column("id", Integer, primary_key=True, server_default=text("1")),
    Column("analyser_version", Text, nullable=False),
    Column("chunker_version", Text, nullable=False),
    Column("embedder_id", Text, nullable=False),
    Column("average_length", Float, nullable=False),
    Column("chunks", Integer, nullable=False),
    moment("built_at"),
)
