"""Threads and the answers given in them."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from feedback.store.tables.base import metadata, moment

threads = Table(
    "threads",
    metadata,
    Column("key", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("thread_ts", Text, nullable=False),
    Column("started_by", Text, nullable=False),
    moment("started_at"),
    # HMAC of a value -> placeholder number: consistent within the thread, never the raw value.
    Column("placeholders", JSONB, nullable=False),
    # Slack timestamps of the last Stop, and of the last word of somebody the bot does not talk to.
    Column("stopped_ts", Text),
    Column("others_ts", Text),
)

# What somebody looks at beside the conversation with the bot: ids only.
pane_contexts = Table(
    "pane_contexts",
    metadata,
    Column("team", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("entities", JSONB, nullable=False),
    Column("event_ts", Float, nullable=False),
)

interactions = Table(
    "interactions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_key", ForeignKey("threads.key", ondelete="CASCADE"), nullable=False, index=True),
    Column("team", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("question_ts", Text, nullable=False),
    Column("asker", Text, nullable=False, index=True),
    moment("asked_at", index=True),
    Column("question", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("answer", Text),
    Column("answer_ts", Text),
    moment("answered_at", nullable=True),
    Column("prompt_version", Text, nullable=False, server_default=""),
    Column("retrieved", JSONB, nullable=False),
    Column("with_context", Boolean, nullable=False, server_default="false"),
    Column("base_model", Text, nullable=False, server_default=""),
    Column("adapter_id", Text),
    Column("adapter_sha256", Text),
    Column("template_sha256", Text, nullable=False, server_default=""),
    Column("experiment_id", Text, index=True),
    Column("arm", Text),
    Column("share", Float),
    Column("salt", Text),
    Column("abstained", Boolean, nullable=False, server_default="false"),
    Column("grounded", Boolean),
    Column("on_brand", Float),
    Column("latency_ms", Float),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("error", Text),
    Column("edited_ts", Text),
    Index("uq_interactions_question", "team", "channel", "question_ts", unique=True),
    Index("ix_interactions_answer", "team", "channel", "answer_ts"),
)
