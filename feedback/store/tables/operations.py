"""Cycles, requests for them, the audit trail, and APScheduler's own table."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import Unicode

from feedback.store.tables.base import metadata, moment

cycles = Table(
    "cycles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("options", JSONB, nullable=False),
    Column("context", JSONB, nullable=False),
    Column("outcome", Text),
    Column("gate", Text),
    Column("reason", Text),
    moment("started_at"),
    moment("updated_at"),
    moment("ended_at", nullable=True),
    # One adapter is made at a time: a second row at work on one is refused by the database itself.
    Index(
        "uq_cycles_at_work",
        sql_text("(ended_at is null)"),
        unique=True,
        postgresql_where=sql_text(
            "ended_at is null and state not in ('experimenting', 'promoting')"
        ),
    ),
)

cycle_requests = Table(
    "cycle_requests",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("requested_by", Text, nullable=False),
    Column("options", JSONB, nullable=False),
    Column("cycle_id", Text),
    moment("created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False, index=True),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    moment("at"),
)

# The operator's brake: one row; `frozen` routes every new turn to the champion.
switches = Table(
    "switches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    moment("set_at"),
)

# Who leads: the term rises with every new leader, and what an older one writes is refused.
leader = Table(
    "leader",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("term", BigInteger, nullable=False),
)

# A promotion asked for by hand: the scheduler carries it out or refuses it, and says so.
promotion_requests = Table(
    "promotion_requests",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "experiment_id",
        ForeignKey("experiments.id", ondelete="CASCADE"),
        nullable=False,
    ),
    # Version of the champion pointer that the person had seen.
    Column("champion_version", Integer, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    moment("created_at"),
    moment("done_at", nullable=True),
    Column("outcome", Text),
    Index(
        "uq_promotion_requests_open",
        "experiment_id",
        unique=True,
        postgresql_where=sql_text("done_at is null"),
    ),
)

# What an operator was shown before acting. Used once, by the same person, before it expires.
confirmations = Table(
    "confirmations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("shown", JSONB, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    moment("asked_at"),
    moment("expires_at"),
    moment("decided_at", nullable=True),
    Column("outcome", Text),
)

# The shape APScheduler 3.11 creates by itself; listed so that `alembic check` stays clean.
apscheduler_jobs = Table(
    "apscheduler_jobs",
    metadata,
    Column("id", Unicode(191), primary_key=True),
    Column("next_run_time", Float(25), index=True),
    Column("job_state", LargeBinary, nullable=False),
)
