"""What Slack delivered and what we owe it, as rows that a worker can take over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Something Slack told us, about to be stored.

    Attributes:
        event_id: Identity of the delivery: Slack's event_id, or a digest of the payload.
        question_key: `team:channel:ts` of a first-time message, so that the `message` and
            `app_mention` twins are one; None for everything else.
        thread_key: Deliveries of one thread are worked on in order; None needs no order.
        team: The workspace whose installation answers for it; empty when nobody said.
        urgent: It ends or changes work in hand, so that it must not wait for a free worker.
        defer_s: Seconds before workers may take it (a listener is about to handle it itself).
        parsed: False stores it for people to look at; no worker takes it.
    """

    event_id: str
    type: str
    payload: Mapping[str, Any]
    question_key: str | None = None
    thread_key: str | None = None
    team: str = ""
    urgent: bool = False
    defer_s: float = 0.0
    parsed: bool = True


@dataclass(frozen=True, kw_only=True)
class InboxRow:
    """A delivery that a worker holds the lease of.

    Attributes:
        attempts: How often it was claimed, this time included.
    """

    id: int
    event_id: str
    type: str
    payload: Mapping[str, Any]
    thread_key: str | None
    attempts: int
    lease_owner: str
    team: str = ""


class Waiting(StrEnum):
    """What became of a question that was edited before it had an answer.

    REVISED: it waits with the new text. IN_HAND: somebody is just reading it. CLOSED: nobody will
    look at it again. UNKNOWN: it never came.
    """

    REVISED = "revised"
    IN_HAND = "in_hand"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class OutboxRow:
    """A side effect we owe: written once, performed at least once.

    Attributes:
        key: Idempotency key.
    """

    id: int
    key: str
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
