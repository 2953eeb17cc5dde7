"""A pattern: failures that mean the same, what kind they are, and the cheapest fix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PatternKind(StrEnum):
    """What goes wrong in the pattern's answers."""

    REPEATED_ERROR = "repeated_error"
    MISSING_KNOWLEDGE = "missing_knowledge"
    STALE_KNOWLEDGE = "stale_knowledge"
    TONE = "tone"
    REFUSAL = "refusal"
    MISUNDERSTANDING = "misunderstanding"
    INJECTION_ATTEMPT = "injection_attempt"


class Signal(StrEnum):
    """What shows that an answer was not good enough.

    The first six are people's words and acts, the next five the bot's own observations, the last
    four say what a correction changed.
    """

    DOWN_VOTE = "down_vote"
    REASON = "reason"
    CORRECTION = "correction"
    HAND_OFF = "hand_off"
    RE_ASKED = "re_asked"
    INJECTION = "injection"
    ABSTAINED = "abstained"
    REFUSED = "refused"
    LOW_RETRIEVAL = "low_retrieval"
    UNGROUNDED = "ungrounded"
    OFF_BRAND = "off_brand"
    CHANGED_FACTS = "changed_facts"
    ADDED_MISSING = "added_missing"
    CHANGED_TONE = "changed_tone"
    CHANGED_FORMAT = "changed_format"


class Verdict(StrEnum):
    """The cheapest fix that would work.

    DOCUMENT: write or refresh a document. PROMPT: one instruction. FINE_TUNE: train on the
    corrections. PEOPLE: reviewers must settle it first. HOLD: too little evidence yet.
    OUT_OF_SCOPE: not this bot's subject.
    """

    DOCUMENT = "document"
    PROMPT = "prompt"
    FINE_TUNE = "fine_tune"
    PEOPLE = "people"
    HOLD = "hold"
    OUT_OF_SCOPE = "out_of_scope"


FIXES: Mapping[Verdict, str] = {
    Verdict.DOCUMENT: "write or refresh a document",
    Verdict.PROMPT: "change one instruction",
    Verdict.FINE_TUNE: "train on the corrections",
    Verdict.PEOPLE: "let people settle it first",
    Verdict.HOLD: "wait for more evidence",
    Verdict.OUT_OF_SCOPE: "not this bot's subject",
}
"""Every verdict as advice."""


class PatternStatus(StrEnum):
    """What people decided about a pattern; it stays with the id from run to run.

    ACCEPTED: the proposed fix will be made. RESOLVED: it was made, and the pattern should stop.
    REGRESSION: a resolved pattern came back.
    """

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RESOLVED = "resolved"
    REGRESSION = "regression"


class PatternDecision(StrEnum):
    """What a person can say of a pattern."""

    ACCEPT = "accept"
    REJECT = "reject"
    RESOLVE = "resolve"
    REOPEN = "reopen"


DECIDED: Mapping[PatternDecision, PatternStatus] = {
    PatternDecision.ACCEPT: PatternStatus.ACCEPTED,
    PatternDecision.REJECT: PatternStatus.REJECTED,
    PatternDecision.RESOLVE: PatternStatus.RESOLVED,
    PatternDecision.REOPEN: PatternStatus.OPEN,
}
"""What a pattern is after a decision."""

OFFERED: Mapping[PatternStatus, tuple[PatternDecision, ...]] = {
    PatternStatus.OPEN: (PatternDecision.ACCEPT, PatternDecision.REJECT),
    PatternStatus.ACCEPTED: (
        PatternDecision.RESOLVE,
        PatternDecision.REJECT,
        PatternDecision.REOPEN,
    ),
    PatternStatus.REJECTED: (PatternDecision.REOPEN,),
    PatternStatus.RESOLVED: (PatternDecision.REOPEN,),
    PatternStatus.REGRESSION: (
        PatternDecision.ACCEPT,
        PatternDecision.RESOLVE,
        PatternDecision.REJECT,
    ),
}
"""Which decisions make sense, by what a pattern is."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Failures that belong together.

    Attributes:
        id: Stable from run to run, never reused.
        label: Keywords for people; the medoid example says the rest.
        size: Failures in it.
        users: Distinct people it hit (distinct threads when the rows name nobody).
        verdict_reasons: Sentences for people, the deciding one first.
        evidence_ids: The members that show the deciding reason.
        draft: What a person could start from: the instruction for PROMPT, the outline for
            DOCUMENT; empty otherwise.
        example_ids: Typical members, the medoid first.
        member_ids: Every member, oldest first.
        score: Priority; higher is more urgent.
        trend: Failures in the newest half of the pattern's time span over those in the older
            half; 1 is steady.
        first_seen: Seconds since the epoch of the oldest member.
        last_seen: Seconds since the epoch of the newest member.
        centroid: L2-normalised mean of the members' vectors.
        signals: How many members show each signal; hand-offs and down-votes are what it costs.
        resolved_at: When its fix was last said, or seen, to be made; None before.
    """

    id: str
    kind: PatternKind
    label: str
    keywords: tuple[str, ...]
    size: int
    users: int
    verdict: Verdict
    verdict_reasons: tuple[str, ...]
    example_ids: tuple[str, ...]
    member_ids: tuple[str, ...]
    score: float
    first_seen: float
    last_seen: float
    centroid: tuple[float, ...]
    evidence_ids: tuple[str, ...] = ()
    draft: str = ""
    trend: float = 1.0
    status: PatternStatus = PatternStatus.OPEN
    signals: Mapping[str, int] = field(default_factory=dict)
    resolved_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PreviousPattern:
    """What the next run must know of an earlier pattern.

    Attributes:
        member_ids: Of a pattern that is not current: those that no current one holds.
        centroid: In the space of the run's embedder; empty when unknown.
        verdict: The fix that was proposed (and, for a resolved pattern, tried).
        current: Whether the newest run still had it; others are known to be recognised again.
    """

    id: str
    member_ids: tuple[str, ...]
    centroid: tuple[float, ...] = ()
    status: PatternStatus = PatternStatus.OPEN
    verdict: Verdict | None = None
    current: bool = True


@dataclass(frozen=True, kw_only=True)
class PatternChange:
    """How a run moved a pattern: new, kept, returned, merged into another, split off, or gone.

    Attributes:
        other_id: The pattern it was merged into or split off from.
    """

    pattern_id: str
    change: str
    other_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class PatternEvent:
    """One line of a pattern's history: a change that a run found, and when."""

    pattern_id: str
    change: str
    other_id: str | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class MiningResult:
    """One run's patterns, most urgent first, and the failures that belong to none."""

    patterns: tuple[Pattern, ...]
    unclustered: tuple[str, ...]
    changes: tuple[PatternChange, ...] = field(default=())
