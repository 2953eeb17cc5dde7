"""How a text is said, as figures: politeness strategies, after Danescu-Niculescu-Mizil (2013)."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.domain.text import sentences

_HEDGES = (
    r"maybe|perhaps|possibly|probably|seems?|might|may|could|would|should|think|thought|believe|"
    r"guess|suppose|suggest|assume|usually|often|sometimes|somewhat|rather|about|around|likely"
)
_KIND = (
    r"great|good|nice|glad|happy|welcome|pleased?|pleasure|wonderful|perfect|awesome|fantastic|"
    r"excellent|appreciated?|interesting|helpful|lovely|enjoy|sure|certainly|absolutely"
)
_UNKIND = (
    r"wrong|bad|stupid|useless|ridiculous|terrible|awful|nonsense|silly|hell|damn|crap|wtf|"
    r"pointless|waste|rubbish|lazy|impossible|never|unfortunately|fail(?:s|ed)?|problem"
)
_PATTERNS = {
    "thanks": r"\b(?:thanks?|thank you|thx|cheers|appreciate)\b",
    "please": r"\bplease\b",
    "please_first": r"^\W*please\b",
    "greeting": r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|welcome)\b",
    "farewell": r"\b(?:bye|goodbye|have a (?:nice|good|great)|take care)\b",
    "apology": r"\b(?:sorry|apolog(?:y|ies|i[sz]e)|excuse me|pardon|forgive|oops)\b",
    "indirect": r"\b(?:could|would|can|will|may|might) (?:you|i|we)\b",
    "by_the_way": r"\b(?:by the way|btw)\b",
    "hedge": rf"\b(?:{_HEDGES})\b",
    "insisting": r"\b(?:really|actually|honestly|surely|in fact|obviously|clearly)\b",
    "kind": rf"\b(?:{_KIND})\b",
    "unkind": rf"\b(?:{_UNKIND})\b",
    "we": r"\b(?:we|our|us|let'?s)\b",
    "i": r"\b(?:i|my|me|i'?m|i'?ve)\b",
    "i_first": r"^\W*(?:i|my|i'?m|i'?ve)\b",
    "you": r"\b(?:you|your|yours|you'?re|u)\b",
    "you_first": r"^\W*(?:you|your|you'?re)\b",
    "asks_bluntly": r"^\W*(?:what|why|who|how|which|where|when)\b",
    "starts_abruptly": r"^\W*(?:so|then|and|but|or|no|because)\b",
    "offers": r"\b(?:let me|happy to|glad to|anything else|how (?:can|may) i|help you|for you)\b",
    "must": r"\b(?:must|have to|need to|don'?t|do not|cannot|can'?t|won'?t)\b",
    "conditional": r"\bif (?:you|possible|that)\b",
}
_COMPILED = tuple(re.compile(source, re.IGNORECASE) for source in _PATTERNS.values())
STRATEGIES = (
    *_PATTERNS,
    "exclamations",
    "questions",
    "ellipses",
    "words",
    "sentences",
    "words_a_sentence",
    "begins_large",
    "ends_with_a_mark",
    "shouted",
)
"""Names of the figures, in their order."""


def strategies(texts: Sequence[str]) -> NDArray[np.float32]:
    """Returns the figures of every text, shape (len(texts), len(STRATEGIES))."""
    rows = [_figures(text) for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(texts), len(STRATEGIES))


def _figures(text: str) -> list[float]:
    plain = text.strip().replace("\u2019", "'")
    tokens = plain.split()
    count = max(len(sentences(plain)), 1)
    shouted = sum(1 for token in tokens if len(token) > 2 and token.isupper())
    return [
        *(math.log1p(len(pattern.findall(plain))) for pattern in _COMPILED),
        math.log1p(plain.count("!")),
        math.log1p(plain.count("?")),
        math.log1p(plain.count("...") + plain.count("\u2026")),
        math.log1p(len(tokens)),
        math.log1p(count),
        math.log1p(len(tokens) / count),
        float(plain[:1].isupper()),
        float(plain[-1:] in {".", "!", "?"}),
        shouted / max(len(tokens), 1),
    ]
