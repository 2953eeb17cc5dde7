"""Installations: which workspaces the bot may act in, and slack_sdk's tables for their tokens."""

from sqlalchemy import Boolean, Column, DateTime, Index, Integer, Table, Text, func

from feedback.store.tables.base import metadata, moment

workspaces = Table(
    "workspaces",
    metadata,
    Column("team", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("enterprise", Text, nullable=False, server_default=""),
    Column("bot_user", Text, nullable=False),
    Column("bot_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("generation", Integer, nullable=False, server_default="1"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("review_channel", Text, nullable=False, server_default=""),
    moment("installed_at"),
    moment("changed_at"),
)


def _columns(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


# The three tables below are slack_sdk's, with its names and naive moments in UTC; text is wider,
# because tokens are stored encrypted.
slack_bots = Table(
    "slack_bots",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("client_id", Text, nullable=False),
    Column("app_id", Text, nullable=False),
    *_columns("enterprise_id", "enterprise_name", "team_id", "team_name"),
    *_columns("bot_token", "bot_id", "bot_user_id", "bot_scopes", "bot_refresh_token"),
    Column("bot_token_expires_at", DateTime),
    Column("is_enterprise_install", Boolean, default=False, nullable=False),
    Column("installed_at", DateTime, nullable=False, default=func.now()),
    Index("slack_bots_idx", "client_id", "enterprise_id", "team_id", "installed_at"),
)

slack_installations = Table(
    "slack_installations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("client_id", Text, nullable=False),
    Column("app_id", Text, nullable=False),
    *_columns("enterprise_id", "enterprise_name", "enterprise_url", "team_id", "team_name"),
    *_columns("bot_token", "bot_id", "bot_user_id", "bot_scopes", "bot_refresh_token"),
    Column("bot_token_expires_at", DateTime),
    Column("user_id", Text, nullable=False),
    *_columns("user_token", "user_scopes", "user_refresh_token"),
    Column("user_token_expires_at", DateTime),
    *_columns("incoming_webhook_url", "incoming_webhook_channel", "incoming_webhook_channel_id"),
    *_columns("incoming_webhook_configuration_url"),
    Column("is_enterprise_install", Boolean, default=False, nullable=False),
    Column("token_type", Text),
    Column("installed_at", DateTime, nullable=False, default=func.now()),
    Index(
        "slack_installations_idx",
        "client_id",
        "enterprise_id",
        "team_id",
        "user_id",
        "installed_at",
    ),
)

slack_oauth_states = Table(
    "slack_oauth_states",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("state", Text, nullable=False),
    Column("expire_at", DateTime, nullable=False),
)
