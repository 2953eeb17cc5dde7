"""Dataset versions with lineage, training runs, evaluations, adapters, deployments."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from feedback.store.tables.base import metadata, moment

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("labels", Integer, nullable=False),
    Column("train_rows", Integer, nullable=False),
    Column("holdout_rows", Integer, nullable=False),
    Column("rejected_rows", Integer, nullable=False),
    Column("manifest", JSONB, nullable=False),
    # Rows of people who were forgotten since; their text is still in the version's files.
    Column("forgotten_rows", Integer, nullable=False, server_default="0"),
    moment("created_at"),
)

dataset_examples = Table(
    "dataset_examples",
    metadata,
    Column("dataset_id", ForeignKey("dataset_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("example_id", Text, primary_key=True),
    Column("side", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("interaction_ids", ARRAY(Text), nullable=False),
)

# Once held out, a group stays held out over every later version. The question is kept because
# later rows are compared with it even when the interaction itself was erased.
split_assignments = Table(
    "split_assignments",
    metadata,
    Column("row_id", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("thread_id", Text, nullable=False),
    Column("completion_key", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("side", Text, nullable=False),
)

training_runs = Table(
    "training_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset_id", ForeignKey("dataset_versions.id"), nullable=False),
    Column("base_model", Text, nullable=False),
    Column("spec", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("progress", JSONB, nullable=False),
    Column("result", JSONB),
    Column("error", Text),
    moment("started_at"),
    moment("finished_at", nullable=True),
)

adapters = Table(
    "adapters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("base_model", Text, nullable=False),
    Column("template_sha256", Text, nullable=False),
    Column("dataset_id", ForeignKey("dataset_versions.id"), nullable=False),
    Column("training_run_id", ForeignKey("training_runs.id"), nullable=False),
    Column("signature", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    moment("created_at"),
    # When its files were given up; the row stays, because answers name it.
    moment("collected_at", nullable=True),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("training_run_id", ForeignKey("training_runs.id"), nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("metrics", JSONB, nullable=False),
    Column("gates", JSONB),
    Column("report_path", Text),
    moment("created_at"),
    Index("uq_evaluations_subject", "training_run_id", "subject", unique=True),
)

# What the model servers should serve and what they do serve. One row is `active`.
deployments = Table(
    "deployments",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("platform", Text, nullable=False),
    Column("base_model", Text, nullable=False),
    Column("base_name", Text, nullable=False),
    Column("adapters", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("url", Text),
    Column("replicas", JSONB, nullable=False),
    Column("pid", Integer),
    Column("error", Text),
    Column("proof", JSONB),
    moment("created_at"),
    moment("updated_at"),
    Index(
        "uq_deployments_active",
        "state",
        unique=True,
        postgresql_where=sql_text("state = 'active'"),
    ),
    # No proof, no traffic: whoever writes the row.
    CheckConstraint(
        "state <> 'active' or (proof is not null and jsonb_typeof(proof) = 'object')",
        name="proof_before_traffic",
    ),
)

# Exactly one row: which adapter is the champion (NULL is the base model).
champion = Table(
    "champion",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("adapter_id", ForeignKey("adapters.id")),
    Column("previous_adapter_id", ForeignKey("adapters.id")),
    Column("version", Integer, nullable=False),
    moment("since"),
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cycle_id", Text, nullable=False, index=True),
    Column("challenger_id", ForeignKey("adapters.id"), nullable=False),
    Column("champion_id", ForeignKey("adapters.id")),
    Column("salt", Text, nullable=False),
    Column("policy", JSONB, nullable=False),
    Column("slow_ms", Float),
    Column("state", Text, nullable=False, index=True),
    Column("stage", Text, nullable=False),
    Column("share", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("decision", Text),
    Column("evidence", JSONB),
    # Who asked for it: somebody else has to approve its promotion.
    Column("author", Text, nullable=False, server_default=""),
    moment("started_at"),
    # Threads that began earlier take no part; the holdback starts anew with new threads.
    moment("joined_from", nullable=True),
    # Since when no new thread joins it. A flag beside the state: the version stays.
    moment("paused_at", nullable=True),
    Column("paused_by", Text, nullable=False, server_default=""),
    moment("ended_at", nullable=True),
)

experiment_stages = Table(
    "experiment_stages",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("share", Float, nullable=False),
    moment("entered_at"),
)

assignments = Table(
    "assignments",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    # Every turn asks for the arms of its thread.
    Column("thread_key", Text, primary_key=True, index=True),
    Column("user_id", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("u", Float, nullable=False),
    Column("share", Float, nullable=False),
    Column("stage", Text, nullable=False),
    Column("adapter_sha256", Text),
    Column("forced_reason", Text),
    # Of the draw: with several experiments that of the one that began first.
    Column("salt", Text, nullable=False, server_default=""),
    moment("assigned_at"),
)
