"""People of a workspace and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; every role includes the ones before it."""

    AGENT = "agent"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role permits what `other` permits."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A member of a workspace.

    Attributes:
        names: Real, display and handle names; redaction replaces them.
        consented: Whether their messages may train a model.
        by_hand: An admin set the role, so that Slack's groups do not change it.
    """

    team: str
    user_id: str
    names: tuple[str, ...] = ()
    role: Role = Role.AGENT
    is_bot: bool = False
    consented: bool = False
    by_hand: bool = False
