"""The parts of an answer that a rule's `scope` names, each with its place in the whole text."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from feedback.domain.text import sentence_spans

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*+\u2022]|\d{1,3}[.)])[ \t]+(.+)$", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*>[ \t]?(.+)$", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$", re.MULTILINE)
_CELL = re.compile(r"[^|\n]+")
_ALT = re.compile(r"!\[([^\]\n]*)\]\(")
_PARAGRAPH = re.compile(r"(?:[^\n]|\n(?!\s*\n))+")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the text as one rule sees it.

    Attributes:
        text: What the rule matches against; code is blanked out with spaces.
        start: Where it begins in the whole text.
    """

    text: str
    start: int


def blocks(text: str, scope: str) -> Iterator[Block]:
    """Yields the blocks of `scope` in reading order.

    `text` (the default scope) and `summary` are the whole answer without code, `raw` is the whole
    answer as it is.
    """
    if scope == "raw":
        yield Block(text, 0)
        return
    prose = _CODE.sub(lambda match: " " * len(match.group()), text)
    kind, _, detail = scope.partition(".")
    for start, end in _PARTS[kind](prose, detail):
        yield Block(prose[start:end], start)


def is_scope(scope: str) -> bool:
    """Whether `scope` is one that `blocks` knows."""
    return scope == "raw" or scope.partition(".")[0] in _PARTS


def _whole(text: str, _: str) -> Iterator[tuple[int, int]]:
    yield 0, len(text)


def _sentences(text: str, _: str) -> Iterator[tuple[int, int]]:
    yield from sentence_spans(text)


def _headings(text: str, level: str) -> Iterator[tuple[int, int]]:
    for match in _HEADING.finditer(text):
        if level in {"", f"h{len(match.group(1))}"}:
            yield match.span(2)


def _paragraphs(text: str, _: str) -> Iterator[tuple[int, int]]:
    for match in _PARAGRAPH.finditer(text):
        first = match.group().lstrip()
        marked = any(pattern.match(first) for pattern in (_HEADING, _ITEM, _QUOTE, _ROW))
        if first and not marked:
            yield match.span()


def _cells(text: str, part: str) -> Iterator[tuple[int, int]]:
    header = True
    for row in _ROW.finditer(text):
        divider = not row.group(1).strip("|-: \t")
        if divider:
            header = False
        elif part in {"", "header" if header else "cell"}:
            for cell in _CELL.finditer(text, *row.span(1)):
                yield cell.span()


def _groups(pattern: re.Pattern[str]) -> Callable[[str, str], Iterator[tuple[int, int]]]:
    def parts(text: str, _: str) -> Iterator[tuple[int, int]]:
        for match in pattern.finditer(text):
            yield match.span(1)

    return parts


_PARTS: dict[str, Callable[[str, str], Iterator[tuple[int, int]]]] = {
    "text": _whole,
    "summary": _whole,
    "sentence": _sentences,
    "paragraph": _paragraphs,
    "heading": _headings,
    "list": _groups(_ITEM),
    "blockquote": _groups(_QUOTE),
    "table": _cells,
    "alt": _groups(_ALT),
}
