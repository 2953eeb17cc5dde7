"""Everything Slack told us, stored before it is acknowledged, and what we still owe Slack."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from feedback.store.tables.base import metadata, moment

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # Identity of the delivery: Slack's event_id, or a digest of an interactive payload.
    Column("event_id", Text, nullable=False, unique=True),
    # Identity of the question: team:channel:ts of a first-time message, so that the `message`
    # and `app_mention` twins are one. Edits and deletions repeat the ts and stay out of it.
    Column("question_key", Text, unique=True),
    Column("thread_key", Text),
    # The workspace whose installation answers for it; empty when the delivery does not say.
    Column("team", Text, nullable=False, server_default=""),
    Column("type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="ready"),
    # Ends or changes work in hand: taken even when every worker is busy.
    Column("urgent", Boolean, nullable=False, server_default="false"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    moment("lease_until", nullable=True),
    moment("available_at"),
    moment("received_at"),
    moment("done_at", nullable=True),
    Column("error", Text),
    Index("ix_inbox_parked", "team", postgresql_where=text("state = 'parked'")),
    Index("ix_inbox_open", "id", postgresql_where=text("state in ('ready','leased')")),
    Index(
        "ix_inbox_open_thread",
        "thread_key",
        "id",
        postgresql_where=text("state in ('ready','leased')"),
    ),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # Idempotency key: the same effect is written once and performed at least once.
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    moment("available_at"),
    moment("created_at"),
    moment("done_at", nullable=True),
    Column("error", Text),
    Index("ix_outbox_open", "id", postgresql_where=text("done_at is null")),
)
