"""An experiment as stored: one row, moved by compare-and-set, plus its stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

APPROVAL_CARD = "approval_card"
"""Outbox kind: ask a person for a promotion; `{experiment_id, version, channel}`."""
PAIR_CARD = "pair_card"
"""Outbox kind: show reviewers two answers to one question; `{pair_id, team}`."""

UNDECIDED = "INCONCLUSIVE"
"""End of an experiment that timed out: the champion stays, unless a person goes over it."""
PAUSABLE_STATES = frozenset({"QUEUED", "OFFLINE_OK", "LOADED", "CANARY", "RAMP", "TEST", "READY"})
"""States in which an experiment may be paused: nothing is promoted yet."""

HOLDBACK = "HOLDBACK"
"""State and stage after a promotion: the previous champion keeps a small share of new threads."""


class Part(StrEnum):
    """Which question a piece of evidence belongs to; nothing is carried from one to the other."""

    TEST = "test"
    """Is the challenger better?"""
    HOLDBACK = "holdback"
    """Is the new champion, promoted, worse than the one before?"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One champion/challenger experiment.

    Attributes:
        state: Name of a state of `retrain.experiments.machine`.
        stage: Ramp stage in force.
        share: Challenger share of that stage.
        policy: Constants of the experiment, frozen at its start.
        slow_ms: Latency above which an answer counts as slow: the champion's 95th percentile
            before the start; None when it had no answers yet.
        author: Who asked for it; somebody else has to approve its promotion.
        started_at: Its day 0: when it was queued, then when the first stage began.
        joined_from: Threads that began earlier take no part; None before the first stage.
        paused_at: Since when no new thread joins it; None while it goes on.
        paused_by: Who paused it.
    """

    id: str
    cycle_id: str
    challenger_id: str
    champion_id: str | None
    salt: str
    policy: Mapping[str, Any]
    slow_ms: float | None
    state: str
    stage: str
    share: float
    version: int
    decision: str | None = None
    evidence: Mapping[str, Any] | None = None
    author: str = ""
    started_at: datetime
    joined_from: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str = ""
    ended_at: datetime | None = None

    @property
    def undecided(self) -> bool:
        """Whether it ended without an answer."""
        return self.state == UNDECIDED

    @property
    def part(self) -> Part:
        """What is asked of people's opinions now."""
        return Part.HOLDBACK if self.stage == HOLDBACK else Part.TEST


@dataclass(frozen=True, kw_only=True)
class TrialStage:
    """A ramp stage and when it came into force."""

    seq: int
    stage: str
    share: float
    entered_at: datetime


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the evidence said at one moment.

    Attributes:
        logs: log E by channel; guardrails by metric under `guardrails`.
        shas: sha256 of an adapter's file by arm, where it was not the registered one.
    """

    at: datetime
    part: Part
    decision: str
    logs: Mapping[str, Any]
    shas: Mapping[str, str]


class Verdict(StrEnum):
    """What a person said about a promotion that waits for one."""

    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A promotion that waits for a person.

    Attributes:
        version: Of the experiment, as the card shows it; worthless once the experiment moved.
    """

    experiment_id: str
    version: int
    asked_at: datetime
    expires_at: datetime
    verdict: Verdict | None = None
    decided_by: str | None = None
    reason: str = ""
    decided_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """What came of a person's verdict.

    Attributes:
        told: A sentence for them.
        effective: Whether it counts; one that came too late, or twice, does not.
    """

    told: str
    effective: bool


@dataclass(frozen=True, kw_only=True)
class ShadowAnswer:
    """What the challenger would have answered to a question that the champion answered.

    Attributes:
        id: Opaque; the only thing that a card says of it.
        first: The arm whose answer stands first on the card, drawn once.
        winner: `champion`, `challenger` or `tie`, once a reviewer has voted.
    """

    id: str
    experiment_id: str
    interaction_id: str
    answer: str
    grounded: bool | None
    on_brand: float | None
    error: str | None
    latency_ms: float | None
    first: str
    answered_at: datetime
    winner: str | None = None
    voted_by: str | None = None
    voted_at: datetime | None = None


def stage_words(trial: Trial) -> str:
    """Returns where an experiment stands as people say it."""
    return f"paused: {_stage_words(trial)}" if trial.paused_at is not None else _stage_words(trial)


def _stage_words(trial: Trial) -> str:
    if trial.stage == HOLDBACK:
        return f"promoted and watched, the one before keeps {1 - trial.share:.0%} of new threads"
    if not trial.stage:
        return f"{trial.state.lower().replace('_', ' ')}, nobody has met it yet"
    # Several challengers leave each other less of all threads.
    shared = " that go to it or the champion" if trial.policy.get("challengers", 1) > 1 else ""
    met = f"{trial.share:.0%} of new threads{shared}"
    if trial.state == "READY":
        return f"proven and waiting for an approval, {met}"
    return f"stage {trial.stage}, {met}"


def decision_words(code: str) -> str:
    """Returns a decision as people say it: `HOLD_response` is "hold: response"."""
    if code == "NONE":
        return "undecided"
    first, _, rest = code.replace("_GUARD:", "_").partition("_")
    return f"{first.lower()}: {rest.lower().replace('_', ' ')}" if rest else first.lower()
