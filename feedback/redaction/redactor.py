"""The redactor: runs the detectors to a fixed point and puts typed stand-ins in the text."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.redaction.addresses import AddressDetector
from feedback.redaction.credentials import CredentialDetector
from feedback.redaction.directory import NameDirectory
from feedback.redaction.names import NameDetector
from feedback.redaction.patterns import PatternDetector
from feedback.redaction.phones import PhoneDetector
from feedback.redaction.placeholders import PLACEHOLDER, PlaceholderScope
from feedback.redaction.spans import ENTITY_TYPES, SECRET, Detector, Span, merge, trim

REDACTION_VERSION = "1"
"""Stored with every redacted row; raise it whenever the same input may give another output."""

# Stands for one finding or placeholder while the detectors look at the rest of the text. It is
# neither letter, digit nor space, so what stands beside it looks like the edge of a word.
_MASK = "\ue000"


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """A text fit to be stored.

    Attributes:
        text: The input with every finding replaced by its placeholder.
        spans: The findings, positions of the input, sorted, without overlap.
    """

    text: str
    spans: tuple[Span, ...]

    def counts(self) -> dict[str, int]:
        """Returns the number of findings by type."""
        result: dict[str, int] = {}
        for span in self.spans:
            result[span.type] = result.get(span.type, 0) + 1
        return result


class Redactor:
    """Finds names, identifiers and secrets by rules and replaces them.

    Out of reach of rules: names that stand in no directory and no list and follow no cue,
    organisations, and people described without being named.

    Args:
        directory: The workspace's members.
        entities: The types to redact; SECRET is always redacted.
        allowed_hosts: Hosts (and their subdomains) whose URLs are public, such as the company's
            own documentation.
        keep_mentions: Slack user ids whose mentions stay, such as the bot's own.
        detectors: Further detectors, for example a name model.
    """

    def __init__(
        self,
        directory: NameDirectory | None = None,
        *,
        entities: Iterable[str] = ENTITY_TYPES,
        allowed_hosts: Iterable[str] = (),
        keep_mentions: Iterable[str] = (),
        detectors: Sequence[Detector] = (),
    ) -> None:
        self._entities = frozenset(entities) | {SECRET}
        self._directory = directory or NameDirectory()
        self._allowed_hosts = tuple(allowed_hosts)
        self._keep_mentions = tuple(keep_mentions)
        self._further = tuple(detectors)
        self._detectors: tuple[Detector, ...] = (
            CredentialDetector(),
            PatternDetector(allowed_hosts=self._allowed_hosts),
            PhoneDetector(),
            AddressDetector(),
            NameDetector(self._directory, keep_mentions=self._keep_mentions),
            *self._further,
        )

    def knowing(self, directory: NameDirectory) -> "Redactor":
        """Returns a redactor that knows the members of `directory` as well."""
        return Redactor(
            self._directory.joined(directory),
            entities=self._entities,
            allowed_hosts=self._allowed_hosts,
            keep_mentions=self._keep_mentions,
            detectors=self._further,
        )

    def find(self, text: str) -> list[Span]:
        """Returns the findings in `text`, sorted, without overlap; placeholders are none."""
        view = _View(text)
        found: list[Span] = []
        while new := self._detect(view.text):
            located = [view.locate(span) for span in new]
            found.extend(located)
            view = _View(text, found)
        return sorted(found, key=lambda span: span.start)

    def redact(self, text: str, scope: PlaceholderScope) -> Redaction:
        """Replaces every finding by the conversation's placeholder for it.

        Redacting the result again changes nothing, in this scope or in a new one.
        """
        scope.reserve(text)
        spans = self.find(text)
        pieces: list[str] = []
        position = 0
        for span in spans:
            pieces.append(text[position : span.start])
            value = span.key if span.key is not None else text[span.start : span.end]
            pieces.append(scope.placeholder(span.type, value))
            position = span.end
        pieces.append(text[position:])
        return Redaction(text="".join(pieces), spans=tuple(spans))

    def _detect(self, text: str) -> list[Span]:
        found = [
            piece
            for detector in self._detectors
            for span in detector.find(text)
            if span.type in self._entities
            for piece in _outside_masks(text, span)
        ]
        return merge(text, found)


def _outside_masks(text: str, span: Span) -> list[Span]:
    """Returns what of `span` is not masked and still holds a letter or digit."""
    inside = text[span.start : span.end]
    if _MASK not in inside:
        return [span] if any(ch.isalnum() for ch in inside) else []
    pieces = []
    start = span.start
    for part in inside.split(_MASK):
        low, high = trim(text, (start, start + len(part)))
        if low < high:
            pieces.append(Span(type=span.type, start=low, end=high))
        start += len(part) + 1
    return pieces


class _View:
    """`text` with findings and placeholders each shrunk to one mask character."""

    def __init__(self, text: str, found: Sequence[Span] = ()) -> None:
        masks = sorted(
            [(span.start, span.end) for span in found]
            + [match.span() for match in PLACEHOLDER.finditer(text)]
        )
        pieces: list[str] = []
        # Of every unmasked stretch: where it starts in the view and in the text.
        self._view_starts: list[int] = []
        self._text_starts: list[int] = []
        position = length = 0
        for start, end in [*masks, (len(text), len(text))]:
            self._view_starts.append(length)
            self._text_starts.append(position)
            piece = text[position:start]
            pieces.append(piece)
            if start < len(text) or end > start:
                pieces.append(_MASK)
            length += len(piece) + 1
            position = end
        self.text = "".join(pieces)

    def locate(self, span: Span) -> Span:
        """Returns `span` of the view in positions of the text."""
        at = bisect_right(self._view_starts, span.start) - 1
        shift = self._text_starts[at] - self._view_starts[at]
        return Span(type=span.type, start=span.start + shift, end=span.end + shift, key=span.key)
