"""Cuts a document at its headings into chunks of whole sentences, with a stable identity."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from feedback.domain.knowledge import Chunk, Document
from feedback.domain.text import normalise, sentence_spans

CHUNKER_VERSION = "headings-180-30-1"
"""Part of every chunk's identity: another way to cut is another set of chunks."""

MAX_WORDS = 180
OVERLAP_WORDS = 30
MIN_WORDS = 4

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
_ANCHOR = re.compile(r"\{#[\w-]+\}|<a\s+[^>]*></a>|<!--.*?-->", re.DOTALL)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!-])")


@dataclass(frozen=True, kw_only=True)
class _Section:
    heading: str
    text: str


def chunk(document: Document) -> list[Chunk]:
    """Returns the document's chunks in reading order; passages under four words are dropped."""
    chunks: list[Chunk] = []
    seen: Counter[str] = Counter()
    for section in _sections(document):
        for text in _passages(section.text):
            digest = _sha256(
                CHUNKER_VERSION, normalise(f"{document.title} > {section.heading}"), text
            )
            # A passage that stands twice in a document is two chunks.
            seen[digest] += 1
            chunks.append(
                Chunk(
                    chunk_id=_sha256(document.doc_id, digest, str(seen[digest]))[:20],
                    doc_id=document.doc_id,
                    position=len(chunks),
                    title=document.title,
                    heading=section.heading,
                    text=text,
                    content_hash=digest,
                )
            )
    return chunks


def document_hash(document: Document) -> str:
    """Returns the hash of all that a sync must notice: content, place, audience, expiry."""
    return _sha256(
        CHUNKER_VERSION,
        document.title,
        document.text,
        document.uri,
        document.audience or "",
        document.expires_at.isoformat() if document.expires_at else "",
    )


def _sections(document: Document) -> Iterator[_Section]:
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in _ANCHOR.sub("", document.text).splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        yield _section(path, lines, document.title)
        level, lines = len(match.group(1)), []
        path = [item for item in path if item[0] < level]
        path.append((level, _clean(match.group(2))))
    yield _section(path, lines, document.title)


def _section(path: list[tuple[int, str]], lines: list[str], title: str) -> _Section:
    names = [name for _, name in path]
    if names and normalise(names[0]) == normalise(title):
        names = names[1:]
    return _Section(heading=" > ".join(names), text=_clean("\n".join(lines)))


def _clean(text: str) -> str:
    """Strips link targets, escapes and surplus space; the words of a link stay."""
    text = _ESCAPE.sub(r"\1", _IMAGE_OR_LINK.sub(r"\1", text))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()


def _passages(text: str) -> Iterator[str]:
    """Yields windows of whole sentences of at most MAX_WORDS words that overlap a little."""
    spans = [piece for span in sentence_spans(text) for piece in _short_enough(text, span)]
    start = 0
    while start < len(spans):
        stop, count = start, 0
        while stop < len(spans) and (
            stop == start or count + _count(text, spans[stop]) <= MAX_WORDS
        ):
            count += _count(text, spans[stop])
            stop += 1
        if count >= MIN_WORDS:
            yield text[spans[start][0] : spans[stop - 1][1]]
        if stop == len(spans):
            return
        start = _step_back(text, spans, start, stop)


def _step_back(text: str, spans: list[tuple[int, int]], start: int, stop: int) -> int:
    """Returns where the next window starts: as many whole sentences back as the overlap holds."""
    following, overlap = stop, 0
    while following - 1 > start:
        overlap += _count(text, spans[following - 1])
        if overlap > OVERLAP_WORDS:
            break
        following -= 1
    return following


def _short_enough(text: str, span: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Cuts a sentence longer than a chunk (a table, a log) between words."""
    found = [match.span() for match in re.finditer(r"\S+", text[span[0] : span[1]])]
    for start in range(0, len(found), MAX_WORDS):
        piece = found[start : start + MAX_WORDS]
        yield span[0] + piece[0][0], span[0] + piece[-1][1]


def _count(text: str, span: tuple[int, int]) -> int:
    return len(text[span[0] : span[1]].split())


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
