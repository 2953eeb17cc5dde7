"""Corrections: a better answer, its versions, and what reviewers decided about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from feedback.domain.interaction import Reason


class CorrectionState(StrEnum):
    """Where a correction stands.

    DRAFT: written, not yet confirmed by its author. PROPOSED: waiting for a reviewer. CLAIMED: a
    reviewer looks at it. ESCALATED: an admin must decide. WITHDRAWN: its question was deleted.
    """

    DRAFT = "draft"
    PROPOSED = "proposed"
    CLAIMED = "claimed"
    ESCALATED = "escalated"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


OPEN_STATES = (CorrectionState.PROPOSED, CorrectionState.CLAIMED, CorrectionState.ESCALATED)
"""States in which a reviewer can still act."""


class CorrectionSource(StrEnum):
    """Where the better answer came from."""

    MODAL = "modal"
    TAUGHT_REPLY = "taught_reply"
    IMPORT = "import"


class Decision(StrEnum):
    """What a reviewer did with a version."""

    APPROVE = "approve"
    REJECT = "reject"
    ESCALATE = "escalate"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The current version of a correction.

    Attributes:
        interaction_id: The corrected answer; None for imported ones.
        text: Redacted text of the current version.
        passages: Texts that had been retrieved, so that training sees the same prompt.
        author: Who proposed it; may not approve it.
        consent: What allows it to be trained on: `reviewer_authored`, `consenting` or `none`.
        row_version: Rises with every change; a click made on an older one is stale.
    """

    id: str
    interaction_id: str | None
    thread_key: str
    team: str
    question: str
    bot_answer: str
    text: str
    author: str
    source: CorrectionSource
    consent: str
    created_at: datetime
    redaction_version: str
    passages: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    state: CorrectionState = CorrectionState.DRAFT
    version: int = 1
    row_version: int = 1
    claimed_by: str | None = None
    card_channel: str | None = None
    card_ts: str | None = None
    decided_at: datetime | None = None
    post_in_thread: bool = False


@dataclass(frozen=True, kw_only=True)
class Review:
    """One reviewer's decision about one version."""

    correction_id: str
    version: int
    reviewer: str
    decision: Decision
    note: str
    created_at: datetime
