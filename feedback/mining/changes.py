"""What a correction changed: facts, missing parts, tone or format; and when two contradict."""

import re
from dataclasses import dataclass

from feedback.domain.text import normalise
from feedback.knowledge.analysis import COURTESY_STEMS, terms

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_LINK = re.compile(r"https?://\S+|\bwww\.\S+")
_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|without|unable|isn't|aren't|don't|doesn't|didn't|won't|can't|"
    r"couldn't|shouldn't|wasn't|weren't|unavailable|impossible)\b"
)
_OPENER = re.compile(r"\W*(yes|no|yeah|yep|nope)\b")


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a correction differs from the answer it corrects.

    Exactly one of `facts`, `missing`, `tone` and `format` holds for two different texts.

    Attributes:
        facts: Numbers, links or content differ: the answer said something else.
        missing: The answer's content is kept and content was added.
        tone: The same content in other words.
        format: The same words, laid out differently.
        length_ratio: Words of the correction over words of the answer.
    """

    facts: bool = False
    missing: bool = False
    tone: bool = False
    format: bool = False
    length_ratio: float = 1.0


def change_between(answer: str, correction: str) -> Change | None:
    """Says what a correction changed; None when it changed nothing."""
    if answer.strip() == correction.strip():
        return None
    ratio = len(correction.split()) / max(len(answer.split()), 1)
    if normalise(answer) == normalise(correction):
        return Change(format=True, length_ratio=ratio)
    before, after = substance(answer), substance(correction)
    exact_before, exact_after = exact_facts(answer), exact_facts(correction)
    kept = len(before & after) / len(before) if before else 0.0
    added = after - before
    dropped, brought = exact_before - exact_after, exact_after - exact_before
    if before and kept >= 0.75 and not dropped and (len(added) >= 3 or brought):
        return Change(missing=True, length_ratio=ratio)
    same = _jaccard(before, after) >= 0.5 or (not before and not after)
    if same and not dropped and not brought:
        return Change(tone=True, length_ratio=ratio)
    return Change(facts=True, length_ratio=ratio)


def substance(text: str) -> frozenset[str]:
    """Returns the stems that carry facts: content words without courtesy."""
    return frozenset(terms(text)) - COURTESY_STEMS


def exact_facts(text: str) -> frozenset[str]:
    """Returns numbers and links, which a paraphrase must keep to the letter."""
    links = {link.rstrip(".,;:!?)") for link in _LINK.findall(text)}
    return frozenset(_NUMBER.findall(_LINK.sub(" ", text))) | frozenset(links)


def contradicts(one: str, other: str, *, cosine: float | None = None) -> bool:
    """Whether two answers to the same question cannot both be right.

    They name disjoint numbers or links, one says yes where the other says no, one negates what
    the other affirms, or (given their similarity) they share no content at all.

    Args:
        one: An answer.
        other: Another answer.
        cosine: Similarity of their vectors; None when unknown.
    """
    if normalise(one) == normalise(other):
        return False
    exact_one, exact_other = exact_facts(one), exact_facts(other)
    if exact_one and exact_other and not exact_one & exact_other:
        return True
    first, second = _opening(one), _opening(other)
    if first is not None and second is not None and first != second:
        return True
    shared = _jaccard(substance(one), substance(other))
    if shared >= 0.5 and _negations(one) % 2 != _negations(other) % 2:
        return True
    return cosine is not None and cosine < 0.35 and shared < 0.1


def _opening(text: str) -> bool | None:
    """Returns True for an answer that opens with yes, False with no, None otherwise."""
    match = _OPENER.match(text.lower())
    return match.group(1).startswith("y") if match else None


def _negations(text: str) -> int:
    return len(_NEGATION.findall(text.lower().replace("\u2019", "'")))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    union = one | other
    return len(one & other) / len(union) if union else 0.0
