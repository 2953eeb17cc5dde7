"""Mechanical comparison of texts: whole words, numbers, overlap."""

from collections import Counter
from collections.abc import Iterable

from feedback.domain.text import normalise, words


def holds(answer: str, text: str) -> bool:
    """Returns whether `answer` contains `text` as whole words, case and punctuation ignored."""
    wanted = normalise(text)
    return bool(wanted) and f" {wanted} " in f" {normalise(answer)} "


def holds_all(answer: str, texts: Iterable[str]) -> bool:
    """Returns whether `answer` contains every one of `texts`."""
    return all(holds(answer, text) for text in texts)


def holds_any(answer: str, texts: Iterable[str]) -> bool:
    """Returns whether `answer` contains at least one of `texts`."""
    return any(holds(answer, text) for text in texts)


def token_f1(answer: str, reference: str) -> float:
    """Returns the harmonic mean of word precision and recall, 0..1 (as in SQuAD)."""
    ours, theirs = Counter(words(answer)), Counter(words(reference))
    shared = (ours & theirs).total()
    if not shared:
        return 0.0
    precision, recall = shared / ours.total(), shared / theirs.total()
    return 2 * precision * recall / (precision + recall)
