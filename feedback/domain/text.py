"""Text basics that mining, data sets, tone and grounding share: one idea of word and sentence."""

import re
import unicodedata
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+(?:['\u2019.,_-][^\W_]+)*")
_SPACE = re.compile(r"\s+")
_PUNCTUATION = re.compile(r"[^\w\s]|_")
_BOUNDARY = re.compile(
    r"[.!?\u2026]+[\"'\u201d\u2019)\]*_]*(?=\s|$)|\n\s*\n|\n(?=\s*(?:[-*\u2022#>]|\d+[.)])\s)"
)
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "nr",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "eg",
        "ie",
        "approx",
        "dept",
        "est",
        "fig",
        "inc",
        "ltd",
        "co",
        "corp",
        "jr",
        "sr",
        "ext",
        "tel",
        "vol",
        "cf",
        "u.s",
        "u.k",
        "a.m",
        "p.m",
    ]
)


def normalise(text: str) -> str:
    """Returns `text` case-folded, without punctuation, words separated by single spaces.

    Two texts with the same normal form are the same text for de-duplication. Compatibility
    forms (full-width letters, ligatures) are unified; accents are kept.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # An apostrophe joins ("don't" is one word); any other mark separates.
    folded = folded.replace("'", "").replace("\u2019", "")
    return _SPACE.sub(" ", _PUNCTUATION.sub(" ", folded)).strip()


def words(text: str) -> list[str]:
    """Returns the case-folded words in order.

    Inner apostrophes, dots, commas and hyphens stay inside a word, so `don't`, `3.5`, `1,000` and
    `sign-in` are one word each.
    """
    return [match.group().casefold() for match in _WORD.finditer(text)]


def sentences(text: str) -> list[str]:
    """Returns the sentences in order, stripped, without empty ones."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Returns `(start, end)` of every sentence, surrounding white space left out.

    A sentence ends at `.`, `!`, `?` or an ellipsis before white space, at an empty line, and before
    a list item or heading. Abbreviations, initials and numbered items do not end one.
    """
    spans = []
    for start, end in _pieces(text):
        piece = text[start:end]
        stripped = piece.strip()
        if stripped:
            offset = start + len(piece) - len(piece.lstrip())
            spans.append((offset, offset + len(stripped)))
    return spans


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.group().startswith(".") and _is_abbreviation(text[start : match.start()]):
            continue
        yield start, match.end()
        start = match.end()
    yield start, len(text)


def _is_abbreviation(before: str) -> bool:
    """Tells whether the full stop after `before` belongs to its last word."""
    tail = before.split()
    if not tail:
        return True
    last = tail[-1].lstrip("(\"'\u201c").casefold()
    initial = len(last) == 1 and last.isalpha() and last != "i"
    numbered_item = last.isdigit() and len(tail) == 1
    return initial or numbered_item or last in _ABBREVIATIONS
