"""Where something private stands in a text, and how overlapping findings become one answer."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

SECRET = "SECRET"  # noqa: S105  (the name of an entity type)
PERSON = "PERSON"
EMAIL_ADDRESS = "EMAIL_ADDRESS"
PHONE_NUMBER = "PHONE_NUMBER"
CREDIT_CARD = "CREDIT_CARD"
IBAN_CODE = "IBAN_CODE"
IP_ADDRESS = "IP_ADDRESS"
MAC_ADDRESS = "MAC_ADDRESS"
URL = "URL"
DATE_TIME = "DATE_TIME"
STREET_ADDRESS = "STREET_ADDRESS"
ZIP_CODE = "ZIP_CODE"
US_SSN = "US_SSN"
US_PASSPORT = "US_PASSPORT"
US_DRIVER_LICENSE = "US_DRIVER_LICENSE"
US_BANK_NUMBER = "US_BANK_NUMBER"
UK_NINO = "UK_NINO"
CRYPTO = "CRYPTO"

ENTITY_TYPES = frozenset(
    {
        SECRET,
        PERSON,
        EMAIL_ADDRESS,
        PHONE_NUMBER,
        CREDIT_CARD,
        IBAN_CODE,
        IP_ADDRESS,
        MAC_ADDRESS,
        URL,
        DATE_TIME,
        STREET_ADDRESS,
        ZIP_CODE,
        US_SSN,
        US_PASSPORT,
        US_DRIVER_LICENSE,
        US_BANK_NUMBER,
        UK_NINO,
        CRYPTO,
    }
)
"""Presidio's entity names, and SECRET."""

# The kinds with the least strict format: of two findings of one length the other kind is right.
_LOOSE = frozenset({PERSON, PHONE_NUMBER, US_BANK_NUMBER})


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One finding, `text[start:end]`.

    Attributes:
        type: One of ENTITY_TYPES.
        key: What the placeholder's number hangs on when that is not the text itself: the member's
            id for a name from the directory, so that every form of a name shares one number.
    """

    type: str
    start: int
    end: int
    key: str | None = field(default=None, compare=False)

    @property
    def length(self) -> int:
        """Number of characters."""
        return self.end - self.start

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


class Detector(Protocol):
    """Finds private things of some kinds in a text."""

    def find(self, text: str) -> Iterable[Span]:
        """Yields findings in any order; they may overlap."""
        ...


def merge(text: str, found: Iterable[Span]) -> list[Span]:
    """Returns sorted spans without overlap: secrets swallow, then the longest wins.

    What a longer span leaves uncovered of a shorter one stays covered by the shorter's type, so
    that no half of a name or number remains in the text.
    """
    spans = [span for span in found if span.length > 0]
    others = [span for span in spans if span.type != SECRET]
    kept = _grown([span for span in spans if span.type == SECRET], others)
    for span in sorted(others, key=lambda s: (-s.length, s.type in _LOOSE, s.start, s.type)):
        kept.extend(_uncovered(text, span, kept))
    return sorted(kept, key=lambda s: s.start)


def _grown(secrets: list[Span], others: list[Span]) -> list[Span]:
    """Grows every secret over what it overlaps and joins secrets that meet.

    A longer finding around a secret (a URL with a token in it) must not survive as its own type:
    its pseudonym would be derived from the secret.
    """
    joined: list[Span] = []
    for secret in sorted(secrets, key=lambda s: s.start):
        around = [span for span in others if span.overlaps(secret)]
        start = min([secret.start, *(span.start for span in around)])
        end = max([secret.end, *(span.end for span in around)])
        while joined and joined[-1].end > start:
            last = joined.pop()
            start, end = min(start, last.start), max(end, last.end)
        joined.append(Span(type=SECRET, start=start, end=end))
    return joined


def _uncovered(text: str, span: Span, kept: list[Span]) -> list[Span]:
    """Returns the parts of `span` outside `kept` that still hold a letter or digit."""
    pieces = [(span.start, span.end)]
    for other in kept:
        pieces = [
            piece
            for start, end in pieces
            for piece in ((start, min(end, other.start)), (max(start, other.end), end))
            if piece[0] < piece[1]
        ]
    whole = pieces == [(span.start, span.end)]
    if whole:
        return [span]
    return [
        Span(type=span.type, start=start, end=end)
        for start, end in (trim(text, piece) for piece in pieces)
        if start < end
    ]


def trim(text: str, piece: tuple[int, int]) -> tuple[int, int]:
    """Returns `piece` without leading and trailing characters that are no letter or digit."""
    start, end = piece
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end
