"""The kind of a failure, read from people's reasons first, then from the texts themselves."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from feedback.domain.interaction import TONE_REASONS, InteractionRecord, Reason
from feedback.domain.pattern import PatternKind, Signal
from feedback.knowledge.analysis import terms
from feedback.mining.changes import Change, change_between, substance
from feedback.mining.signals import changed_signals, observed


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failed interaction with everything the rules look at, computed once.

    Attributes:
        change: What the correction changed, None without a (different) correction.
        top_score: Best score among the retrieved chunks; 0 when nothing was retrieved; None when
            the input carries no retrieval at all, so nothing can be concluded.
        signals: Everything that shows the failure.
        found_now: Best score of the same question in today's documents; None when nobody looked.
    """

    record: InteractionRecord
    kind: PatternKind
    change: Change | None
    top_score: float | None
    signals: frozenset[Signal] = frozenset()
    found_now: float | None = None

    @property
    def refused(self) -> bool:
        """Whether the answer declined to help."""
        return Signal.REFUSED in self.signals

    @property
    def abstained(self) -> bool:
        """Whether the answer said that it does not know."""
        return Signal.ABSTAINED in self.signals


def examine(
    record: InteractionRecord,
    *,
    retrieval_known: bool,
    missing_score: float,
    off_brand: Callable[[str], bool] | None = None,
    re_asked: bool = False,
    found_now: float | None = None,
) -> Failure:
    """Reads one failed interaction.

    Args:
        record: A row that people or the bot itself found not good enough.
        retrieval_known: Whether the input records what was retrieved; a row without hits then
            means that nothing was found.
        missing_score: A best score below this means that no document answers the question.
        off_brand: Tells whether an answer violates the style guide.
        re_asked: The same question came again in the thread.
        found_now: Best score of the question in today's documents.
    """
    changed = record.correction is not None and record.correction.strip()
    change = change_between(record.answer, record.correction or "") if changed else None
    top = max((hit.score for hit in record.retrieved), default=0.0) if retrieval_known else None
    unanswered = top is not None and top < missing_score
    off = off_brand is not None and off_brand(record.answer)
    failure = Failure(
        record=record,
        kind=PatternKind.REPEATED_ERROR,
        change=change,
        top_score=top,
        found_now=found_now,
        signals=observed(record, re_asked=re_asked)
        | changed_signals(change)
        | ({Signal.LOW_RETRIEVAL} if unanswered else set())
        | ({Signal.OFF_BRAND} if off else set()),
    )
    kind = (
        _from_question(failure)
        or _from_reasons(record.reasons, unanswered=unanswered)
        or _from_answer(failure, unanswered=unanswered)
        or _from_change(failure)
    )
    return replace(failure, kind=kind)


def kind_of(failures: Sequence[Failure]) -> PatternKind:
    """Returns the kind most members have; a tie goes to the kind that costs people more."""
    counts = Counter(failure.kind for failure in failures)
    order = list(PatternKind)
    return max(counts, key=lambda kind: (counts[kind], -order.index(kind)))


def _from_question(failure: Failure) -> PatternKind | None:
    return PatternKind.INJECTION_ATTEMPT if Signal.INJECTION in failure.signals else None


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


def _from_change(failure: Failure) -> PatternKind:
    change, record = failure.change, failure.record
    if change is not None:
        if change.tone:
            return PatternKind.TONE
        if change.missing:
            known = failure.top_score is not None
            return PatternKind.REPEATED_ERROR if known else PatternKind.MISSING_KNOWLEDGE
        if _beside_the_point(record):
            return PatternKind.MISUNDERSTANDING
    elif Signal.RE_ASKED in failure.signals:
        return PatternKind.MISUNDERSTANDING
    elif Signal.OFF_BRAND in failure.signals:
        return PatternKind.TONE
    return PatternKind.REPEATED_ERROR


def _beside_the_point(record: InteractionRecord) -> bool:
    """Whether the correction speaks of the question's subject and the answer of another one."""
    asked, said = frozenset(terms(record.question)), substance(record.answer)
    meant = substance(record.correction or "")
    return len(said) >= 3 and not said & (asked | meant) and bool(asked & meant)
