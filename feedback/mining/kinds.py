"""The kind of a failure, read from people's reasons first, then from the texts themselves."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feedback.domain.interaction import TONE_REASONS, InteractionRecord, Reason
from feedback.domain.pattern import PatternKind
from feedback.knowledge.analysis import terms
from feedback.mining.changes import Change, change_between, substance

_REFUSAL = re.compile(
    r"\b(?:i|we)(?:'m| am|'re| are)? (?:sorry,? (?:but )?)?(?:i |we )?"
    r"(?:can(?:no|')t|can not|could(?:n't| not)|am unable to|are unable to|unable to|"
    r"won't|will not|am not able to|'m not able to|not able to|not allowed to)"
    r" (?:help|assist|answer|discuss|do that|provide|share|support)"
    r"|\b(?:outside|beyond) (?:of )?(?:my|our) (?:scope|area|expertise)"
    r"|\bas an ai\b"
)
_ABSTAINED = re.compile(
    r"\b(?:i|we) (?:do not|don't|did not|didn't|could not|couldn't|cannot|can't) "
    r"(?:know|find|have (?:any )?(?:information|details|an answer))"
    r"|\b(?:i'm|i am|we're|we are) not (?:sure|certain)\b"
    r"|\bno (?:information|document|source)s? (?:about|on|covers?|found|available)\b"
)
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.?!]{0,40}\b(?:previous|prior|above|earlier|all|"
    r"your|system)\b[^.?!]{0,30}\b(?:instructions?|prompts?|rules?|guidelines?)\b"
    r"|\b(?:reveal|show|print|repeat|output)\b[^.?!]{0,30}\b(?:system prompt|your (?:prompt|"
    r"instructions))\b"
    r"|\byou are now\b[^.?!]{0,40}\b(?:dan|jailbroken|unrestricted|developer mode)\b"
    r"|\b(?:developer|god|dan) mode\b|</?(?:system|s|inst)>|\[/?inst\]|<\|im_(?:start|end)\|>"
)
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'"})


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failed interaction with everything the rules look at, computed once.

    Attributes:
        change: What the correction changed, None without a (different) correction.
        top_score: Best score among the retrieved chunks; 0 when nothing was retrieved; None when
            the input carries no retrieval at all, so nothing can be concluded.
    """

    record: InteractionRecord
    kind: PatternKind
    change: Change | None
    top_score: float | None
    refused: bool
    abstained: bool


def refuses(answer: str) -> bool:
    """Whether an answer declines to help."""
    return _REFUSAL.search(answer.lower().translate(_QUOTES)) is not None


def abstains(answer: str) -> bool:
    """Whether an answer says that it does not know."""
    return _ABSTAINED.search(answer.lower().translate(_QUOTES)) is not None


def attempts_injection(question: str) -> bool:
    """Whether a question tries to change the bot's instructions."""
    return _INJECTION.search(question.lower().translate(_QUOTES)) is not None


def examine(
    record: InteractionRecord,
    *,
    retrieval_known: bool,
    missing_score: float,
    off_brand: Callable[[str], bool] | None = None,
) -> Failure:
    """Reads one failed interaction.

    Args:
        record: A row with `failed` true.
        retrieval_known: Whether the input records what was retrieved; a row without hits then
            means that nothing was found.
        missing_score: A best score below this means that no document answers the question.
        off_brand: Tells whether an answer violates the style guide.
    """
    changed = record.correction is not None and record.correction.strip()
    change = change_between(record.answer, record.correction or "") if changed else None
    top = max((hit.score for hit in record.retrieved), default=0.0)
    failure = Failure(
        record=record,
        kind=PatternKind.REPEATED_ERROR,
        change=change,
        top_score=top if retrieval_known else None,
        refused=refuses(record.answer),
        abstained=abstains(record.answer),
    )
    unanswered = failure.top_score is not None and failure.top_score < missing_score
    kind = (
        _from_question(record)
        or _from_reasons(record.reasons, unanswered=unanswered)
        or _from_answer(failure, unanswered=unanswered)
        or _from_change(failure, off_brand)
    )
    return Failure(**{**failure.__dict__, "kind": kind})


def kind_of(failures: Sequence[Failure]) -> PatternKind:
    """Returns the kind most members have; a tie goes to the kind that costs people more."""
    counts = Counter(failure.kind for failure in failures)
    order = list(PatternKind)
    return max(counts, key=lambda kind: (counts[kind], -order.index(kind)))


def _from_question(record: InteractionRecord) -> PatternKind | None:
    return PatternKind.INJECTION_ATTEMPT if attempts_injection(record.question) else None


def _from_reasons(reasons: Sequence[Reason], *, unanswered: bool) -> PatternKind | None:
    given = set(reasons)
    if Reason.OUTDATED in given:
        return PatternKind.STALE_KNOWLEDGE
    if Reason.REFUSED in given:
        return PatternKind.REFUSAL
    if Reason.MISSING_INFORMATION in given:
        return PatternKind.MISSING_KNOWLEDGE
    if given & {Reason.WRONG_FACT, Reason.MADE_UP}:
        return PatternKind.MISSING_KNOWLEDGE if unanswered else PatternKind.REPEATED_ERROR
    if given & {Reason.UNSAFE, Reason.FORMAT}:
        return PatternKind.REPEATED_ERROR
    return PatternKind.TONE if given & TONE_REASONS else None


def _from_answer(failure: Failure, *, unanswered: bool) -> PatternKind | None:
    if failure.abstained and not failure.refused:
        return PatternKind.MISSING_KNOWLEDGE
    if failure.refused:
        return PatternKind.REFUSAL
    if unanswered and not (failure.change and failure.change.tone):
        return PatternKind.MISSING_KNOWLEDGE
    return None


def _from_change(failure: Failure, off_brand: Callable[[str], bool] | None) -> PatternKind:
    change, record = failure.change, failure.record
    if change is not None:
        if change.tone:
            return PatternKind.TONE
        if change.missing:
            known = failure.top_score is not None
            return PatternKind.REPEATED_ERROR if known else PatternKind.MISSING_KNOWLEDGE
        if _beside_the_point(record):
            return PatternKind.MISUNDERSTANDING
    elif off_brand is not None and off_brand(record.answer):
        return PatternKind.TONE
    return PatternKind.REPEATED_ERROR


def _beside_the_point(record: InteractionRecord) -> bool:
    """Whether the correction speaks of the question's subject and the answer of another one."""
    asked, said = frozenset(terms(record.question)), substance(record.answer)
    meant = substance(record.correction or "")
    return len(said) >= 3 and not said & (asked | meant) and bool(asked & meant)
