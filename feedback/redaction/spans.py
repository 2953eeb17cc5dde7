"""Where something private stands in a text, and how overlapping findings become one answer."""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
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


_ADDRESS = "EMAIL_ADDRESS"


def merge(text: str, found: Iterable[Span]) -> list[Span]:
    """Returns sorted spans without overlap: secrets swallow, addresses, then the longest.

    What a longer span leaves uncovered of a shorter one stays covered by the shorter's type, so
    that no half of a name or number remains in the text.
    """
    spans = [span for span in found if span.length > 0]
    others = [span for span in spans if span.type != SECRET]
    kept = _Kept(_grown([span for span in spans if span.type == SECRET], others))
    # A name may run into the address that is made of it ("..., grace@example.org"), never back.
    order = sorted(
        others, key=lambda s: (s.type != _ADDRESS, -s.length, s.type in _LOOSE, s.start, s.type)
    )
    for span in order:
        for piece in kept.uncovered(text, span):
            kept.add(piece)
    return kept.spans


class _Kept:
    """Spans without overlap, sorted; finding the neighbours of a span takes logarithmic time."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = spans

    def add(self, span: Span) -> None:
        """Puts in a span that overlaps none."""
        insort(self.spans, span, key=lambda s: s.start)

    def uncovered(self, text: str, span: Span) -> list[Span]:
        """Returns the parts of `span` that no kept span covers and that hold a letter or digit."""
        at = max(0, bisect_right(self.spans, span.start, key=lambda s: s.start) - 1)
        pieces = []
        position = span.start
        touched = False
        for other in islice(self.spans, at, None):
            if other.start >= span.end:
                break
            if other.end > span.start:
                touched = True
                pieces.append((position, other.start))
                position = max(position, other.end)
        if not touched:
            return [span]
        pieces.append((position, span.end))
        return [
            Span(type=span.type, start=start, end=end)
            for start, end in (trim(text, piece) for piece in pieces)
            if start < end
        ]


def _grown(secrets: list[Span], others: list[Span]) -> list[Span]:
    """Grows every secret over what it overlaps and joins secrets that meet.

    A longer finding around a secret (a URL with a token in it) must not survive as its own type:
    its pseudonym would be derived from the secret.
    """
    if not secrets:
        return []
    by_start = sorted(others, key=lambda s: s.start)
    longest = max((span.length for span in others), default=0)
    joined: list[Span] = []
    for secret in sorted(secrets, key=lambda s: s.start):
        start, end = secret.start, secret.end
        low = bisect_right(by_start, secret.start - longest, key=lambda s: s.start)
        for span in islice(by_start, max(0, low - 1), None):
            if span.start >= secret.end:
                break
            if span.overlaps(secret):
                start, end = min(start, span.start), max(end, span.end)
        while joined and joined[-1].end > start:
            last = joined.pop()
            start, end = min(start, last.start), max(end, last.end)
        joined.append(Span(type=SECRET, start=start, end=end))
    return joined


def trim(text: str, piece: tuple[int, int]) -> tuple[int, int]:
    """Returns `piece` without leading and trailing characters that are no letter or digit."""
    start, end = piece
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end
