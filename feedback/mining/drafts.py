"""First drafts of fixes: one instruction, or the outline of a document."""

import numpy as np

from feedback.domain.interaction import Reason
from feedback.domain.pattern import PatternKind
from feedback.domain.text import normalise, sentences, words
from feedback.knowledge.analysis import stem
from feedback.mining.case import Case
from feedback.mining.changes import substance
from feedback.mining.kinds import Failure

Found = tuple[str, str, tuple[str, ...]] | None
"""Reason, instruction, and the rows that show it."""


def format_instruction(case: Case) -> Found:
    """Layout or length that most corrections change."""

    def layout(failure: Failure) -> bool:
        by_reason = Reason.FORMAT in failure.record.reasons
        return by_reason or (failure.change is not None and failure.change.format)

    def wordy(failure: Failure) -> bool:
        return Reason.TOO_WORDY in failure.record.reasons

    if case.share(layout) >= case.policy.majority:
        return (
            "The words are right and the layout is not.",
            "Lay answers out as the corrections do: short paragraphs, steps as a numbered list.",
            case.ids(layout),
        )
    if case.share(wordy) >= case.policy.majority:
        lengths = [len(f.record.correction.split()) for f in case.failures if f.record.correction]
        limit = f" in at most {round(float(np.median(lengths)))} words" if lengths else " briefly"
        return ("People find the answers too wordy.", f"Answer{limit}.", case.ids(wordy))
    return None


def refusal_instruction(case: Case) -> Found:
    """Refusals of what a source covers."""
    if case.kind is not PatternKind.REFUSAL:
        return None
    return (
        "The bot refuses although documents or reviewers answer it.",
        "When a source covers the question, answer from it; refuse only what no source covers.",
        case.ids(lambda failure: failure.kind is PatternKind.REFUSAL),
    )


def phrase_instruction(case: Case) -> Found:
    """Words beside the subject that most corrections of a tone pattern add."""
    if case.kind is not PatternKind.TONE:
        return None
    corrected = [failure for failure in case.failures if failure.change is not None]
    if len(corrected) < case.policy.min_failures:
        return None
    holders: dict[tuple[str, ...], list[str]] = {}
    for failure in corrected:
        before = normalise(failure.record.answer)
        subject = substance(f"{failure.record.answer} {failure.record.question}")
        for phrase in _phrases(failure.record.correction or "", subject):
            if " ".join(phrase) not in before:
                holders.setdefault(phrase, []).append(failure.record.id)
    needed = 0.6 * len(corrected)
    common = [phrase for phrase, ids in holders.items() if len(ids) >= needed]
    if not common:
        return None
    phrase = max(common, key=lambda item: (len(item), len(holders[item]), item))
    text = " ".join(phrase)
    return (
        f"{len(holders[phrase])} of {len(corrected)} corrections add the words {text!r}.",
        f"Use the words {text!r} where they fit.",
        tuple(holders[phrase]),
    )


def _phrases(text: str, subject: frozenset[str]) -> set[tuple[str, ...]]:
    """Returns every run of three to six words of a sentence that says nothing of the subject."""
    found = set()
    for sentence in sentences(text):
        tokens = normalise(sentence).split()
        about = [stem(token) in subject for token in tokens]
        for length in range(3, 7):
            for start in range(len(tokens) - length + 1):
                if not any(about[start : start + length]):
                    found.add(tuple(tokens[start : start + length]))
    return found


def outline(case: Case) -> str:
    """Drafts a document: a title and the questions it must answer, twins left out."""
    asked: list[str] = []
    seen: list[set[str]] = []
    for failure in case.failures:
        bag = set(words(failure.record.question))
        if all(len(bag & other) < 0.6 * len(bag | other) for other in seen):
            asked.append(failure.record.question.strip())
            seen.append(bag)
        if len(asked) == 8:
            break
    title = " ".join(case.keywords[:4]) or "Untitled"
    return "\n".join([f"# {title}", "", *(f"- {question}" for question in asked)])
