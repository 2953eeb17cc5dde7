"""What operators do: what they were shown before they acted, and what they asked for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from feedback.domain.trial import UNDECIDED, decision_words

FROZEN = "frozen"
"""Name of the brake among the switches: while it is on, the champion answers every new turn."""

PROMOTABLE_STATES = frozenset({"TEST"})
"""States of an experiment from which a person may promote: enough have met the challenger."""

READY = "READY"
"""State of an experiment that is proven and waits for an approval."""

PROMOTING = "PROMOTING"
"""State of an experiment whose promotion is being made."""

WAITING_STATES = frozenset({READY, PROMOTING})
"""States of an experiment in which a promotion is decided and not yet made."""

NO_REASON = "no reason given"
"""What the audit trail says of an act whose reason need not be given, and was not."""

BASE = "base"
"""How the audit trail names the base model as champion."""


class OperatorAct(StrEnum):
    """Acts that ask for a confirmation."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FORGET = "forget"


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who acts, why, and when.

    Attributes:
        by: Goes into the audit trail: a Slack user id, or a name given on the command line.
        shown_as: How notices name them; the same when empty.
        channel: Operators' channel for the public notice; empty posts none.
    """

    by: str
    reason: str
    at: datetime
    shown_as: str = ""
    channel: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Who is on stage at a moment: what a confirmation is bound to.

    Attributes:
        champion_id: None is the base model.
        champion_version: Rises whenever the champion changes.
        previous_id: What a rollback leads to; None is the base model.
        running: How many experiments are on stage, or else wait for it.
        waiting: Experiments whose promotion is decided and not yet made.
        experiment_id: The one that is meant: the only one running, else the last one if it ended
            undecided; None while several run and none was named. The next four belong to it.
        decision: What the evidence said at the last look. Mere counts are left out: they change
            all the time and change nothing.
        paused: No new thread joins it.
    """

    champion_id: str | None
    champion_version: int
    previous_id: str | None
    frozen: bool
    running: int = 0
    waiting: tuple[str, ...] = ()
    experiment_id: str | None = None
    challenger_id: str | None = None
    state: str | None = None
    decision: str | None = None
    paused: bool = False

    @property
    def undecided(self) -> bool:
        """Whether the experiment is over, without an answer."""
        return self.state == UNDECIDED

    @property
    def promotion_waits(self) -> bool:
        """Whether going back means that a promotion is not made."""
        return bool(self.waiting)

    def to_row(self) -> dict[str, Any]:
        """Returns JSON that `from_row` reads back."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Standing":
        """Reads stored JSON; keys of other versions are ignored."""
        known = {item.name: row[item.name] for item in fields(cls) if item.name in row}
        return cls(**{**known, "waiting": tuple(known.get("waiting", ()))})


def changes(shown: Standing, now: Standing, act: OperatorAct) -> tuple[str, ...]:
    """Returns, in sentences, what changed since somebody looked and matters for their act."""
    found = []
    if shown.champion_version != now.champion_version:
        before, after = model_name(shown.champion_id), model_name(now.champion_id)
        found.append(f"the champion was {before} and is {after} now")
    if act is not OperatorAct.PROMOTE:
        if shown.waiting != now.waiting:
            before, after = (", ".join(item.waiting) or "none" for item in (shown, now))
            found.append(f"the promotion that waits was {before} and is {after} now")
        return tuple(found)
    if shown.state != now.state:
        found.append(f"the experiment moved from {shown.state} to {now.state}")
    if shown.decision != now.decision:
        before, after = (decision_words(item.decision or "NONE") for item in (shown, now))
        found.append(f"the evidence said {before} and says {after} now")
    if shown.frozen != now.frozen:
        found.append("traffic was frozen" if now.frozen else "traffic is no longer frozen")
    if shown.paused != now.paused:
        found.append("the experiment " + ("was paused" if now.paused else "goes on"))
    return tuple(found)


def model_name(adapter_id: str | None) -> str:
    """Returns how people call a champion."""
    return adapter_id or "the base model"


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """A promotion asked for by hand; the scheduler carries it out or refuses it.

    Attributes:
        champion_version: Of the pointer, as the person saw it.
        outcome: A sentence, once it is closed.
    """

    id: int
    experiment_id: str
    champion_version: int
    requested_by: str
    reason: str
    created_at: datetime
    done_at: datetime | None = None
    outcome: str | None = None


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Something shown to one person, who may say yes once and not for long.

    Attributes:
        shown: A standing, or whom to forget.
        outcome: A sentence, once it is decided.
    """

    id: str
    team: str
    user_id: str
    act: OperatorAct
    shown: Mapping[str, Any]
    reason: str
    asked_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    outcome: str | None = None
