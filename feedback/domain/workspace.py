"""Workspaces that the bot was installed in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class WorkspaceState(StrEnum):
    """Whether the bot may act in a workspace.

    INSTALLED: yes. DISABLED: its token is no good; what it delivered waits for the next
    installation. REMOVED: it was uninstalled and its data erased.
    """

    INSTALLED = "installed"
    DISABLED = "disabled"
    REMOVED = "removed"


@dataclass(frozen=True, kw_only=True)
class WorkspaceRecord:
    """What is known of an installation, without its token.

    Attributes:
        enterprise: The organisation's id, empty outside Enterprise Grid.
        generation: Counts the installations; what happened to an earlier one never hurts this one.
        reason: Why it is disabled or removed.
        review_channel: Channel id for review cards; empty: reviewers use the App Home.
    """

    team: str
    name: str
    enterprise: str
    bot_user: str
    bot_id: str
    state: WorkspaceState
    generation: int
    reason: str
    review_channel: str
    installed_at: datetime
