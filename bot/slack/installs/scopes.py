"""What the app asks a workspace for: all at once, since a later scope means authorizing again."""

BOT_SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "chat:write",
    "commands",
    "groups:history",
    "im:history",
    "im:write",
    "reactions:read",
    "usergroups:read",
    "users:read",
)
"""The scopes of deploy/slack-manifest.yaml; a test compares them."""
