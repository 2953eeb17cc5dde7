"""A question that is handed to a person: called, taken, answered, closed."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from feedback.domain.text import words


class HandoffReason(StrEnum):
    """Why a person is called."""

    ABSTAINED = "abstained"
    BUTTON = "button"
    FAILED = "failed"
    WORDS = "words"


class HandoffState(StrEnum):
    """OPEN: called, nobody came yet. TAKEN: somebody cares. ANSWERED: a colleague replied."""

    OPEN = "open"
    TAKEN = "taken"
    ANSWERED = "answered"
    CLOSED = "closed"


WAITING = (HandoffState.OPEN, HandoffState.TAKEN)
"""States in which a colleague's reply is awaited."""
HELD = (HandoffState.TAKEN, HandoffState.ANSWERED)
"""States in which people talk and the bot waits to be named."""


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """One call for a person.

    Attributes:
        interaction_id: The answer that was not enough.
        on_call: Id of the user group or person that is called; empty: nobody in particular.
        answer_ts: The colleague's reply in Slack.
        correction_id: The candidate that the reply became; None when it was no answer.
        message_ts: The message with the button "I take it"; None while it is owed.
    """

    id: str
    interaction_id: str
    team: str
    channel: str
    thread_key: str
    asker: str
    reason: HandoffReason
    opened_at: datetime
    on_call: str = ""
    state: HandoffState = HandoffState.OPEN
    row_version: int = 1
    taken_by: str | None = None
    taken_at: datetime | None = None
    answered_by: str | None = None
    answered_at: datetime | None = None
    answer_ts: str | None = None
    correction_id: str | None = None
    closed_at: datetime | None = None
    message_ts: str | None = None


_PERSON = (
    r"(?:(?:an?|some|any|the)\s+)?(?:real\s+|actual\s+|live\s+)?"
    r"(?:human(?:\s+being)?|person|colleague|agent|representative)"
)
_VERB = (
    r"(?:(?:talk|speak|chat|write)\s+(?:to|with)|reach|get|call|i\s+(?:want|need)|"
    r"(?:connect|transfer|hand|put)\s+me\s+(?:over\s+|through\s+)?(?:to|with))"
)
# Not "get a person's e-mail", "I need an agent seat".
_WANTED = re.compile(
    rf"\b{_VERB}\s+{_PERSON}\b(?!['\u2019]|\s+(?:seat|account|role|name|id|licen[cs]e)\b)",
    re.IGNORECASE,
)
_LONGEST = 25
"""Words; in a longer message somebody rather describes a problem with talking to people."""
_SHORTEST_ANSWER = 4


def wants_person(text: str) -> bool:
    """Whether somebody asks for a person in so many words."""
    return len(words(text)) <= _LONGEST and _WANTED.search(text) is not None


def is_answer(text: str) -> bool:
    """Whether a colleague's reply can be an answer: not a nod, not a question back."""
    return len(words(text)) >= _SHORTEST_ANSWER and not text.rstrip().endswith("?")
