"""Votes with their history, corrections with their versions, reviews, patterns."""

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Identity,
    Integer,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from feedback.store.tables.base import metadata, moment

votes = Table(
    "votes",
    metadata,
    Column("interaction_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("rating", Text),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    # Time of the click in Slack: an older click that arrives late never overwrites a newer one.
    Column("event_ts", Float, nullable=False),
    moment("updated_at"),
)

vote_events = Table(
    "vote_events",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("interaction_id", Text, nullable=False, index=True),
    Column("user_id", Text, nullable=False),
    Column("rating", Text, nullable=False),
    # The person's opinion after this act: up, down or none. Experiments count it.
    Column("value", Text, nullable=False),
    Column("source", Text, nullable=False),
    # False: the reaction was taken back.
    Column("added", Boolean, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    Column("event_ts", Float, nullable=False),
    moment("recorded_at"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("interaction_id", Text, index=True),
    Column("thread_key", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("bot_answer", Text, nullable=False),
    Column("passages", ARRAY(Text), nullable=False),
    Column("author", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("consent", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("queued_for", ARRAY(Text), nullable=False, server_default="{}"),
    Column("skipped_by", ARRAY(Text), nullable=False, server_default="{}"),
    # Corrections of the same question that say otherwise, found when a data set was built.
    Column("rivals", ARRAY(Text), nullable=False, server_default="{}"),
    # Who wrote the reply that the text was taken from, when that is not the author.
    Column("taught_from", Text),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("row_version", Integer, nullable=False, server_default="1"),
    Column("claimed_by", Text),
    moment("claimed_at", nullable=True),
    Column("card_channel", Text),
    Column("card_ts", Text),
    Column("post_in_thread", Boolean, nullable=False, server_default="false"),
    moment("created_at"),
    moment("decided_at", nullable=True),
)

correction_versions = Table(
    "correction_versions",
    metadata,
    Column("correction_id", ForeignKey("corrections.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("editor", Text, nullable=False),
    Column("redaction_version", Text, nullable=False),
    moment("created_at"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "correction_id",
        ForeignKey("corrections.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("version", Integer, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    # 1: first decision, 2: independent second decision, 3: an admin's after an escalation.
    Column("round", Integer, nullable=False, server_default="1"),
    moment("created_at"),
)

patterns = Table(
    "patterns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("keywords", ARRAY(Text), nullable=False),
    Column("size", Integer, nullable=False),
    Column("users", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("verdict_reasons", ARRAY(Text), nullable=False),
    Column("status", Text, nullable=False, server_default="open"),
    Column("score", Float, nullable=False),
    Column("example_ids", ARRAY(Text), nullable=False),
    Column("evidence_ids", ARRAY(Text), nullable=False),
    Column("draft", Text, nullable=False, server_default=""),
    Column("trend", Float, nullable=False, server_default="1"),
    Column("signals", JSONB, nullable=False, server_default="{}"),
    # Gone from the newest run; kept so that its id is never given again.
    Column("current", Boolean, nullable=False, server_default="true"),
    Column("centroid", ARRAY(Float), nullable=False),
    Column("embedder_id", Text, nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    moment("mined_at"),
    moment("resolved_at", nullable=True),
)

pattern_members = Table(
    "pattern_members",
    metadata,
    Column("pattern_id", ForeignKey("patterns.id", ondelete="CASCADE"), primary_key=True),
    Column("interaction_id", Text, primary_key=True),
)

pattern_runs = Table(
    "pattern_runs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("patterns", Integer, nullable=False),
    Column("unclustered", Integer, nullable=False),
    Column("policy", JSONB, nullable=False),
    # The on-brand rate of the week before the run, and of the week before that.
    Column("tone", JSONB),
    moment("created_at"),
)

pattern_changes = Table(
    "pattern_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "pattern_id",
        ForeignKey("patterns.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("change", Text, nullable=False),
    Column("other_id", Text),
    moment("created_at"),
)

# What mining compares. The digest tells when the text changed; the width is the embedder's.
interaction_vectors = Table(
    "interaction_vectors",
    metadata,
    Column("interaction_id", ForeignKey("interactions.id", ondelete="CASCADE"), primary_key=True),
    Column("part", Text, primary_key=True),
    Column("embedder_id", Text, nullable=False),
    Column("text_sha256", Text, nullable=False),
    Column("embedding", Vector(), nullable=False),
)
