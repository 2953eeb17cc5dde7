"""Every table of the schema, grouped by topic. Importing this module fills the metadata."""

from feedback.store.tables import (
    conversations,
    feedback,
    handoffs,
    inbox,
    knowledge,
    learning,
    operations,
    people,
    trials,
    workspaces,
)
from feedback.store.tables.base import metadata

__all__ = [
    "conversations",
    "feedback",
    "handoffs",
    "inbox",
    "knowledge",
    "learning",
    "metadata",
    "operations",
    "people",
    "trials",
    "workspaces",
]
