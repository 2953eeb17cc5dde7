"""Votes: every click and reaction is kept; the current opinion is folded from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from feedback.domain.interaction import Rating, Reason


class VoteSource(StrEnum):
    """How somebody voted."""

    BUTTON = "button"
    MODAL = "modal"
    REACTION = "reaction"


@dataclass(frozen=True, kw_only=True)
class VoteEvent:
    """One act of voting.

    Attributes:
        event_id: Identity of the delivery; the same act arrives any number of times.
        rating: What was clicked; for a reaction, which thumb it concerns.
        added: False when a reaction was removed.
        event_ts: Seconds since the epoch at which the person acted, by Slack's clock.
    """

    event_id: str
    interaction_id: str
    user_id: str
    rating: Rating
    source: VoteSource
    event_ts: float
    added: bool = True
    reasons: tuple[Reason, ...] = ()
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One person's current opinion of one answer; `rating` None is a retracted one."""

    interaction_id: str
    user_id: str
    rating: Rating | None
    reasons: tuple[Reason, ...] = ()
    comment: str = ""
    event_ts: float = 0.0


def fold_votes(events: Sequence[VoteEvent]) -> Vote:
    """Returns the opinion that one person's acts on one answer add up to.

    The order of arrival does not matter, only the time of the act. A click replaces what was
    before. Reactions count as a set: both thumbs at once contradict each other and count as none.
    Reasons and comment stay while the rating stays down.

    Args:
        events: At least one act, all of one person on one answer.
    """
    rating: Rating | None = None
    reasons: tuple[Reason, ...] = ()
    comment = ""
    reactions: set[Rating] = set()
    ordered = sorted(events, key=lambda event: (event.event_ts, event.event_id))
    for event in ordered:
        if event.source is VoteSource.REACTION:
            reactions = reactions | {event.rating} if event.added else reactions - {event.rating}
            rating = next(iter(reactions)) if len(reactions) == 1 else None
        else:
            rating = event.rating
        if rating is not Rating.DOWN:
            reasons, comment = (), ""
        else:
            reasons = event.reasons or reasons
            comment = event.comment or comment
    last = ordered[-1]
    return Vote(
        interaction_id=last.interaction_id,
        user_id=last.user_id,
        rating=rating,
        reasons=reasons,
        comment=comment,
        event_ts=last.event_ts,
    )
