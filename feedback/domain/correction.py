"""Corrections: a better answer, its versions, and what reviewers decided about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from feedback.domain.interaction import Reason


class CorrectionState(StrEnum):
    """Where a correction stands.

    DRAFT: written, not yet confirmed by its author. PROPOSED: waiting for a reviewer. CLAIMED: a
    reviewer looks at it. SECOND_LOOK: decided once, waiting for an independent second decision.
    ESCALATED: an admin must decide. WITHDRAWN: its question was deleted.
    """

    DRAFT = "draft"
    PROPOSED = "proposed"
    CLAIMED = "claimed"
    SECOND_LOOK = "second_look"
    ESCALATED = "escalated"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


OPEN_STATES = (
    CorrectionState.PROPOSED,
    CorrectionState.CLAIMED,
    CorrectionState.SECOND_LOOK,
    CorrectionState.ESCALATED,
)
"""States in which a reviewer can still act."""
EDITABLE_STATES = tuple(s for s in OPEN_STATES if s is not CorrectionState.SECOND_LOOK)
"""The second look judges the very text that was judged before."""


class CorrectionSource(StrEnum):
    """Where the better answer came from."""

    MODAL = "modal"
    TAUGHT_REPLY = "taught_reply"
    HUMAN_REPLY = "human_reply"
    LIKED_ANSWER = "liked_answer"
    IMPORT = "import"


class QueueReason(StrEnum):
    """Why a correction deserves a reviewer's time."""

    DOWN_VOTE = "down_vote"
    ABSTAINED = "abstained"
    LOW_CONFIDENCE = "low_confidence"
    PERSONAL_DATA = "personal_data"
    POSITIVE_SAMPLE = "positive_sample"
    HUMAN_REPLY = "human_reply"
    IMPORTED = "imported"
    CONFLICT = "conflict"


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
        tags: Short labels that its author gave it.
        queued_for: Why reviewers should look at it; empty when somebody simply proposed it.
        skipped_by: Reviewers who left it to the others.
        taught_from: Who wrote the reply that the text was taken from; None: the author did.
        row_version: Rises with every change; a click made on an older one is stale.
        rivals: Corrections of the same question that say otherwise.
        rival_texts: What those say now; only read, never stored.
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
    tags: tuple[str, ...] = ()
    queued_for: tuple[QueueReason, ...] = ()
    skipped_by: tuple[str, ...] = ()
    taught_from: str | None = None
    state: CorrectionState = CorrectionState.DRAFT
    version: int = 1
    row_version: int = 1
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    card_channel: str | None = None
    card_ts: str | None = None
    decided_at: datetime | None = None
    post_in_thread: bool = False
    rivals: tuple[str, ...] = ()
    rival_texts: tuple[str, ...] = ()


REVIEW_CARD = "review_card"
"""Kind of the effect that draws a correction's card."""


def card_effect(correction: Correction) -> tuple[str, str, dict[str, str]]:
    """Returns key, kind and payload of the effect that draws the card of a correction anew."""
    payload = {"correction_id": correction.id, "team": correction.team}
    return f"card:{correction.id}:{correction.row_version}", REVIEW_CARD, payload


@dataclass(frozen=True, kw_only=True)
class Review:
    """One reviewer's decision about one version.

    Attributes:
        round: 1 the first decision, 2 the independent second one, 3 an admin's about an escalated
            correction.
    """

    correction_id: str
    version: int
    reviewer: str
    decision: Decision
    note: str
    created_at: datetime
    round: int = 1
