"""What people may say after `/understudy`, who may say it, and what they are told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from feedback.domain.cycle import Cycle
from feedback.domain.digest import Digest
from feedback.domain.operating import Confirmation, Standing
from feedback.domain.person import Role
from feedback.domain.trial import Trial
from feedback.domain.why import WhyReport
from feedback.store.overview import Backlog, LabelCounts, SwitchState


class Verb(StrEnum):
    """What `/understudy` understands."""

    STATUS = "status"
    WHY = "why"
    PATTERNS = "patterns"
    PAUSE = "pause"
    RESUME = "resume"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FORGET = "forget"
    HELP = "help"


NEEDS: Mapping[Verb, Role] = {
    **dict.fromkeys((Verb.STATUS, Verb.WHY, Verb.PATTERNS), Role.REVIEWER),
    **dict.fromkeys((Verb.PAUSE, Verb.RESUME, Verb.FREEZE, Verb.UNFREEZE), Role.ADMIN),
    **dict.fromkeys((Verb.PROMOTE, Verb.ROLLBACK), Role.ADMIN),
    **dict.fromkeys((Verb.FORGET, Verb.HELP), Role.AGENT),
}
"""Who may say what; forgetting somebody else needs an admin."""

STEERS = frozenset(Verb) - {Verb.STATUS, Verb.WHY, Verb.FORGET, Verb.HELP}
"""Verbs for the operators' workspace: they change, or show, what concerns all workspaces."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody typed after `/understudy`.

    Attributes:
        reason: The rest of the line, where the verb takes a reason.
        target: Whom to forget; None is the one who types.
        delivery_id: Inbox row to close with the effect; None when a worker holds it.
    """

    team: str
    user: str
    verb: Verb
    event_id: str
    reason: str = ""
    target: str | None = None
    delivery_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A person's yes or no to a confirmation."""

    team: str
    user: str
    confirmation_id: str
    yes: bool
    event_id: str
    delivery_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Help:
    """What this person may say."""

    role: Role


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where the loop stands, in one look.

    Attributes:
        trials: The experiments that are on stage, or else wait for it.
        cycles: Those that are not over.
        last: The last one that is.
    """

    now: datetime
    standing: Standing
    champion_since: datetime | None
    served: tuple[str, ...]
    brake: SwitchState | None
    trials: tuple[Trial, ...]
    cycles: tuple[Cycle, ...]
    last: Cycle | None
    next_cycle_at: datetime | None
    labels: LabelCounts
    label_gate: int
    backlog: Backlog
    looked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Said:
    """A sentence or two for the person alone."""

    text: str


Reply = Help | Status | WhyReport | Digest | Confirmation | Said
