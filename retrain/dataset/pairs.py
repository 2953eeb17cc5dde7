"""Which recorded answers are wrong enough, and clean enough, to be trained against.

A correction says what should have been said, and its interaction what was said instead: a pair to
prefer by. Held-out rows give none, because only rows on the training side come here. The wrong
answer goes through the same cleaners as the right one, except those whose very findings make an
answer wrong (style, sums, facts).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from feedback.mining.signals import abstains, refuses
from retrain.dataset.cleaning import Cleaner
from retrain.dataset.rows import Candidate, Source, text_key
from retrain.dataset.text_cleaners import (
    ArithmeticCleaner,
    FactCleaner,
    StyleCleaner,
    TextCleaner,
)

_WRONG_BY_THESE = (StyleCleaner, ArithmeticCleaner, FactCleaner)


@dataclass(frozen=True, kw_only=True)
class WrongAnswers:
    """What was said instead of the right answer.

    Attributes:
        by_id: Row id to the wrong answer, for the rows that make a pair.
        left_out: How many corrections make none, by reason.
    """

    by_id: Mapping[str, str]
    left_out: Mapping[str, int]


def wrong_answers(
    candidates: Sequence[Candidate], approved: Sequence[str], cleaners: Sequence[Cleaner]
) -> WrongAnswers:
    """Returns the wrong answers to the rows that somebody corrected by hand.

    Args:
        candidates: Clean rows of the training side.
        approved: Every right answer of the version: none of them is wrong elsewhere.
        cleaners: Those that ran over the rows.
    """
    right = {text_key(text) for text in approved}
    alone = [c for c in cleaners if isinstance(c, TextCleaner) and not _is_judge(c)]
    found: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for candidate in candidates:
        # Teaching a reply or approving an answer does not say that what the bot said was wrong.
        if candidate.source is not Source.CORRECTION:
            continue
        answer = candidate.record.answer.strip()
        reason = _unusable(answer, right) or _unclean(candidate, answer, alone)
        if reason is None:
            found[candidate.id] = answer
        else:
            left_out[reason] += 1
    return WrongAnswers(by_id=found, left_out=dict(sorted(left_out.items())))


def _is_judge(cleaner: TextCleaner) -> bool:
    return isinstance(cleaner, _WRONG_BY_THESE)


def _unusable(answer: str, right: set[str]) -> str | None:
    if not answer:
        return "no_answer"
    # Trained against, "I do not know" would go, and invented answers come in its place.
    if abstains(answer) or refuses(answer):
        return "honest"
    return "right_elsewhere" if text_key(answer) in right else None


def _unclean(candidate: Candidate, answer: str, cleaners: Sequence[TextCleaner]) -> str | None:
    said = replace(candidate, completion=answer)
    return next((c.name for c in cleaners if c.finding(said) is not None), None)
