"""Questions that were handed to a person."""

from sqlalchemy import Column, Index, Integer, Table, Text
from sqlalchemy import text as sql_text

from feedback.store.tables.base import metadata, moment

handoffs = Table(
    "handoffs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("interaction_id", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("thread_key", Text, nullable=False, index=True),
    Column("asker", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("on_call", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("row_version", Integer, nullable=False, server_default="1"),
    moment("opened_at"),
    Column("taken_by", Text),
    moment("taken_at", nullable=True),
    Column("answered_by", Text),
    moment("answered_at", nullable=True),
    Column("answer_ts", Text),
    Column("correction_id", Text),
    moment("closed_at", nullable=True),
    # Where people see it and take it.
    Column("message_ts", Text),
    # A thread waits for one person at a time.
    Index(
        "uq_handoffs_waiting",
        "thread_key",
        unique=True,
        postgresql_where=sql_text("state in ('open', 'taken')"),
    ),
)
