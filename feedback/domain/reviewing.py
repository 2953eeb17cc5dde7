"""Who may decide about a correction, what a decision leads to, and how far reviewers agree. Pure.

A share of the corrections needs two decisions. They are independent: different people, neither of
them the author, and the second does not see the first. Only two equal decisions count; otherwise an
admin decides.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.domain.correction import Correction, CorrectionState, Decision, Review
from feedback.errors import NotAllowedError

FIRST, SECOND, FINAL = 1, 2, 3
"""Rounds of a correction's reviews."""

OUTCOME = {
    Decision.APPROVE: CorrectionState.APPROVED,
    Decision.REJECT: CorrectionState.REJECTED,
    Decision.ESCALATE: CorrectionState.ESCALATED,
}


class OwnCorrectionError(NotAllowedError):
    """Somebody else has to decide about what this person wrote."""


class AlreadyDecidedError(NotAllowedError):
    """This person gave the first decision, so the second is another's."""


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What a decision leads to.

    Attributes:
        round: The round that the decision counts in.
    """

    state: CorrectionState
    round: int


def needs_second(correction_id: str, share: float) -> bool:
    """Whether a correction is one of the share that two people decide; the same on every call.

    Args:
        correction_id: Opaque; its hash decides, so that nobody can choose.
        share: 0 none, 1 all.
    """
    return _chosen("second look", correction_id, share)


def is_positive_sample(interaction_id: str, share: float) -> bool:
    """Whether an answer that people like is one of the share that reviewers look at.

    Args:
        interaction_id: Opaque; its hash decides.
        share: 0 none, 1 all.
    """
    return _chosen("positive sample", interaction_id, share)


def _chosen(purpose: str, identity: str, share: float) -> bool:
    digest = hashlib.sha256(f"{purpose}:{identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def rule(
    correction: Correction,
    earlier: Sequence[Review],
    *,
    reviewer: str,
    decision: Decision,
    second_share: float,
) -> Ruling:
    """Returns what a decision about a correction leads to.

    Args:
        correction: As it stands.
        earlier: The decisions about it so far.
        reviewer: Who decides.
        decision: What.
        second_share: Share of corrections that two people decide.

    Raises:
        AlreadyDecidedError: The second decision would be the first reviewer's.
        OwnCorrectionError: Authors approve their own.
    """
    own = reviewer == correction.author
    if own and decision is Decision.APPROVE:
        raise OwnCorrectionError(
            f"{reviewer} wrote correction {correction.id}; another reviewer must approve"
        )
    if correction.state is CorrectionState.ESCALATED:
        return Ruling(state=OUTCOME[decision], round=FINAL)
    if correction.state is CorrectionState.SECOND_LOOK:
        require_independent(correction, earlier, reviewer)
        first = next((review.decision for review in earlier if review.round == FIRST), decision)
        agreed = decision is first
        return Ruling(
            state=OUTCOME[decision] if agreed else CorrectionState.ESCALATED, round=SECOND
        )
    twice = needs_second(correction.id, second_share) and decision is not Decision.ESCALATE
    if twice and not own:  # an author who rejects takes it back, which nobody has to confirm
        return Ruling(state=CorrectionState.SECOND_LOOK, round=FIRST)
    return Ruling(state=OUTCOME[decision], round=FIRST)


def require_independent(correction: Correction, earlier: Sequence[Review], reviewer: str) -> None:
    """Checks that somebody may take the second look.

    Raises:
        AlreadyDecidedError: They gave the first decision.
        OwnCorrectionError: They wrote it.
    """
    if reviewer == correction.author:
        raise OwnCorrectionError(
            f"{reviewer} wrote correction {correction.id}; another reviewer must decide"
        )
    if any(review.reviewer == reviewer for review in earlier):
        raise AlreadyDecidedError(
            f"{reviewer} has decided about correction {correction.id}; the second look is another's"
        )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two independent decisions about the same correction agree.

    Attributes:
        pairs: Corrections that were decided twice.
        agreed: Those with two equal decisions.
        kappa: Cohen's kappa, 1 at best and 0 for chance; None when chance alone explains
            everything (no pairs, or one decision only).
    """

    pairs: int
    agreed: int
    kappa: float | None


def agreement(pairs: Iterable[tuple[Decision, Decision]]) -> Agreement:
    """Returns the agreement of pairs of decisions.

    kappa = (p_o - p_e) / (1 - p_e), with p_o the share of equal pairs and p_e what two raters
    would reach by chance with these shares of decisions: J. Cohen, A coefficient of agreement for
    nominal scales, Educational and Psychological Measurement 20 (1960), 37-46.
    """
    rows = list(pairs)
    total = len(rows)
    agreed = sum(first is second for first, second in rows)
    if total == 0:
        return Agreement(pairs=0, agreed=0, kappa=None)
    firsts, seconds = (Counter(side) for side in zip(*rows, strict=True))
    by_chance = sum(firsts[kind] * seconds[kind] for kind in Decision)
    # Whole numbers until the end, so that "chance explains everything" is exact.
    if by_chance == total * total:
        return Agreement(pairs=total, agreed=agreed, kappa=None)
    kappa = (agreed * total - by_chance) / (total * total - by_chance)
    return Agreement(pairs=total, agreed=agreed, kappa=kappa)
