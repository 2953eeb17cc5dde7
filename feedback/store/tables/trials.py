"""What an experiment leaves behind besides its rows: looks, approvals, answers in the shadow."""

from sqlalchemy import Boolean, Column, DateTime, Float, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from feedback.store.tables.base import metadata, moment

# What the evidence said, look by look: for the chart, and so that a replay looks when we did.
experiment_looks = Table(
    "experiment_looks",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("part", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("logs", JSONB, nullable=False),
    # sha256 of an adapter's file, by arm, where a look found another one than was registered.
    Column("shas", JSONB, nullable=False),
)

# A promotion that waits for a person: bound to one version of the experiment, good for a while.
approvals = Table(
    "approvals",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    moment("asked_at"),
    moment("expires_at"),
    Column("verdict", Text),
    Column("decided_by", Text),
    Column("reason", Text, nullable=False, server_default=""),
    moment("decided_at", nullable=True),
)

# What the challenger would have answered: shown to nobody but reviewers, as one half of a pair.
shadow_answers = Table(
    "shadow_answers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("interaction_id", ForeignKey("interactions.id", ondelete="CASCADE"), nullable=False),
    Column("answer", Text, nullable=False),
    Column("grounded", Boolean),
    Column("on_brand", Float),
    Column("error", Text),
    Column("latency_ms", Float),
    # The arm whose answer stands first on the card: drawn once, at random.
    Column("first", Text, nullable=False),
    moment("answered_at"),
    Column("winner", Text),
    Column("voted_by", Text),
    moment("voted_at", nullable=True),
    Index("uq_shadow_answers_question", "experiment_id", "interaction_id", unique=True),
)
