"""People of the workspaces: names feed redaction, roles decide what somebody may do."""

from sqlalchemy import Boolean, Column, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from feedback.store.tables.base import metadata, moment

people = Table(
    "people",
    metadata,
    Column("team", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("names", ARRAY(Text), nullable=False),
    Column("role", Text, nullable=False, server_default="agent"),
    # `directory`: the role follows Slack's admins and user groups; `hand`: an admin set it here.
    Column("role_source", Text, nullable=False, server_default="directory"),
    Column("is_bot", Boolean, nullable=False, server_default="false"),
    Column("consented", Boolean, nullable=False, server_default="false"),
    # Set when the person asked to be forgotten: from then on no names are stored of them.
    moment("forgotten_at", nullable=True),
    moment("updated_at"),
)

channels = Table(
    "channels",
    metadata,
    Column("team", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("settings", JSONB, nullable=False),
    moment("updated_at"),
)
