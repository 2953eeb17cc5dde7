"""Signals of one interaction: what people did and said, and what the bot saw itself."""

import re
from collections.abc import Sequence
from itertools import pairwise

from feedback.domain.interaction import InteractionRecord, Rating
from feedback.domain.pattern import Signal
from feedback.mining.changes import Change, substance
from feedback.ports import Vectors

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

_SILENT = frozenset(
    {Signal.HAND_OFF, Signal.RE_ASKED, Signal.INJECTION, Signal.ABSTAINED, Signal.REFUSED}
)
_SAME_QUESTION = 0.8
_SUBJECT_WORDS = 2


def refuses(answer: str) -> bool:
    """Whether an answer declines to help."""
    return _REFUSAL.search(answer.lower().translate(_QUOTES)) is not None


def abstains(answer: str) -> bool:
    """Whether an answer says that it does not know."""
    return _ABSTAINED.search(answer.lower().translate(_QUOTES)) is not None


def attempts_injection(question: str) -> bool:
    """Whether a question tries to change the bot's instructions."""
    return _INJECTION.search(question.lower().translate(_QUOTES)) is not None


def observed(record: InteractionRecord, *, re_asked: bool = False) -> frozenset[Signal]:
    """Returns the signals of one row, what its correction changed aside.

    Args:
        record: `extra` may hold `abstained`, `handed_off`, and `grounded` (false is a signal).
        re_asked: The same question came again in the thread.
    """
    extra = record.extra
    corrected = record.correction is not None and record.correction.strip() != record.answer.strip()
    shown = {
        Signal.DOWN_VOTE: record.rating is Rating.DOWN,
        Signal.REASON: bool(record.reasons),
        Signal.CORRECTION: corrected,
        Signal.HAND_OFF: bool(extra.get("handed_off")),
        Signal.RE_ASKED: re_asked,
        Signal.INJECTION: attempts_injection(record.question),
        Signal.ABSTAINED: bool(extra.get("abstained")) or abstains(record.answer),
        Signal.REFUSED: refuses(record.answer),
        Signal.UNGROUNDED: extra.get("grounded") is False,
    }
    return frozenset(signal for signal, holds in shown.items() if holds)


def changed_signals(change: Change | None) -> frozenset[Signal]:
    """Returns what a correction changed, as signals."""
    if change is None:
        return frozenset()
    shown = {
        Signal.CHANGED_FACTS: change.facts,
        Signal.ADDED_MISSING: change.missing,
        Signal.CHANGED_TONE: change.tone,
        Signal.CHANGED_FORMAT: change.format,
    }
    return frozenset(signal for signal, holds in shown.items() if holds)


def is_failure(record: InteractionRecord, *, re_asked: bool = False) -> bool:
    """Whether an answer was not good enough.

    People said so, or nobody liked it and it was handed off, asked again, declined, or was no
    answer. A low score, a missing source or a broken style rule alone prove nothing.
    """
    if record.failed:
        return True
    if record.rating is Rating.UP:
        return False
    return bool(observed(record, re_asked=re_asked) & _SILENT)


def re_asked(records: Sequence[InteractionRecord], questions: Vectors) -> frozenset[int]:
    """Returns the rows whose question came again as the next one of the thread.

    Args:
        records: In any order.
        questions: Their vectors, L2-normalised.
    """
    by_thread: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        by_thread.setdefault(record.thread_id, []).append(row)
    again = set()
    for rows in by_thread.values():
        rows.sort(key=lambda row: (records[row].ts, records[row].id))
        for row, following in pairwise(rows):
            # "Yes, please" twice is not the same question twice.
            alike = float(questions[row] @ questions[following]) >= _SAME_QUESTION
            if alike and len(substance(records[row].question)) >= _SUBJECT_WORDS:
                again.add(row)
    return frozenset(again)
