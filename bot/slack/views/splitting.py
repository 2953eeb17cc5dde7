"""Splits a long answer into posts where it hurts least. Pure.

Nothing is cut off: what is left out between two parts is white space. A code block that has to be
split is closed and opened again, a table gets its header again, and links and inline code are
only broken when one alone is longer than a post.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from bot.slack.views.blocks import ANSWER_CHARS

POST_CHARS = 3500
"""Characters of a part as it is sent, that is after `&`, `<` and `>` were escaped."""

_LONGEST_OPENING = 400
"""A longer table header, or label of a code block, is not repeated in every part."""

_FENCE = re.compile(r" {0,3}(`{3,40}|~{3,40})(.*)")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*|\s*\|\s*:?-+:?\s*\|\s*")
_WHOLE = re.compile(r"!?\[[^\]\n]*\]\([^)\s]*\)|`[^`\n]+`|https?://\S+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SPACE = re.compile(r"\s+")

_BLANK, _LINE, _SENTENCE_END, _ROW, _WORD = range(5)
"""Places to cut, best first."""


@dataclass(frozen=True, kw_only=True)
class _Within:
    """What a cut is in the middle of: has to be closed before it and opened again after it."""

    closing: str = ""
    opening: str = ""

    @property
    def in_code(self) -> bool:
        return bool(self.closing)


_NOTHING = _Within()


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A place to cut: the part ends at `end`, the next one begins at `start`."""

    end: int
    start: int
    level: int
    within: _Within = _NOTHING


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line of the answer and what is open around it.

    Attributes:
        within: What it is part of itself.
        after: What goes on behind it.
        head: A cut behind it leaves little of a block before the cut.
        glued: Means nothing without the next line.
    """

    start: int
    end: int
    within: _Within = _NOTHING
    after: _Within = _NOTHING
    head: bool = False
    glued: bool = False


def answer_parts(text: str, limit: int = ANSWER_CHARS) -> list[str]:
    """Returns the posts that an answer becomes, in order.

    Args:
        text: As the model wrote it.
        limit: Most characters of a part; escaped it has at most `POST_CHARS` (or `limit` when
            that is more).
    """
    return _Splitter(text.strip("\n ").rstrip(), limit).parts()


class _Splitter:
    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._escaped_limit = max(limit, POST_CHARS)
        # Escaped length of every prefix.
        self._escaped = [0, *accumulate(_escaped(char) for char in text)]
        self._lines = list(_lines(text))
        self._cuts = sorted(self._all_cuts(), key=lambda cut: cut.end)

    def parts(self) -> list[str]:
        found = []
        start, within = 0, _NOTHING
        while True:
            end = self._furthest(start, within)
            last = end == len(self._text)
            cut = self._final() if last else self._best(start, end)
            found.append(within.opening + self._text[start : cut.end] + cut.within.closing)
            if last:
                return found
            start, within = cut.start, cut.within

    def _furthest(self, start: int, within: _Within) -> int:
        """Returns how far a part that begins at `start` can reach."""
        reserved = len(within.opening) + self._longest_closing()
        room, escaped_room = self._limit - reserved, self._escaped_limit - reserved
        # Openings can hold what gets escaped: a table's header, for instance.
        escaped_room -= sum(_escaped(char) - 1 for char in within.opening)
        end = min(len(self._text), start + max(room, 1))
        while end > start + 1 and self._escaped[end] - self._escaped[start] > escaped_room:
            end -= 1
        return end

    def _longest_closing(self) -> int:
        return max((len(line.after.closing) for line in self._lines), default=0)

    def _final(self) -> _Cut:
        within = self._lines[-1].after if self._lines else _NOTHING
        return _Cut(end=len(self._text), start=len(self._text), level=_BLANK, within=within)

    def _best(self, start: int, end: int) -> _Cut:
        possible = [cut for cut in self._cuts if start < cut.end <= end]
        late = [cut for cut in possible if cut.end >= start + (end - start) // 2]
        for cuts in (late, possible):
            if cuts:
                return min(cuts, key=lambda cut: (cut.level, -cut.end))
        return self._hard(start, end)

    def _hard(self, start: int, end: int) -> _Cut:
        """Returns a cut where the text offers none, before a link rather than inside it."""
        line = next(line for line in self._lines if line.start <= end <= line.end)
        if not line.within.in_code:
            for match in _WHOLE.finditer(self._text, line.start, line.end):
                if start < match.start() < end < match.end():
                    end = match.start()
        return _Cut(end=end, start=end, level=_WORD, within=line.within)

    def _all_cuts(self) -> Iterator[_Cut]:
        for number, line in enumerate(self._lines):
            yield from self._inner_cuts(line)
            if number + 1 < len(self._lines) and not line.glued:
                yield self._cut_after(line, self._lines[number + 1])

    def _cut_after(self, line: _Line, following: _Line) -> _Cut:
        if line.after is not _NOTHING:
            level = _WORD if line.head else _ROW
            return _Cut(end=line.end, start=following.start, level=level, within=line.after)
        blank = not self._text[line.start : line.end].strip() or (
            not self._text[following.start : following.end].strip()
        )
        end = line.end - _trailing(self._text[: line.end])
        start = following.start
        skipped = re.compile(r"(?:[ \t]*\n)*").match(self._text, start)
        start = skipped.end() if skipped else start
        return _Cut(end=end, start=start, level=_BLANK if blank else _LINE)

    def _inner_cuts(self, line: _Line) -> Iterator[_Cut]:
        if line.within.in_code or line.after is not _NOTHING:
            return
        whole = [m.span() for m in _WHOLE.finditer(self._text, line.start, line.end)]
        begun = re.compile(r"\s*").match(self._text, line.start)
        indent = begun.end() if begun else line.start
        for level, pattern in ((_SENTENCE_END, _SENTENCE), (_WORD, _SPACE)):
            for match in pattern.finditer(self._text, indent, line.end):
                if not any(a < match.start() < b for a, b in whole):
                    yield _Cut(end=match.start(), start=match.end(), level=level)


def _lines(text: str) -> Iterator[_Line]:
    """Yields the lines with what is open in and after each."""
    fence: tuple[str, str] | None = None
    table: str | None = None
    spans = list(_line_spans(text))
    for number, (start, end) in enumerate(spans):
        raw = text[start:end]
        within = _code(fence)
        mark = _FENCE.fullmatch(raw)
        if fence is not None:
            if mark and _closes(mark, fence[0]):
                fence = None
            yield _Line(start=start, end=end, within=within, after=_code(fence))
            continue
        if mark and not (mark.group(1)[0] == "`" and "`" in mark.group(2)):
            fence = (mark.group(1), raw)
            yield _Line(start=start, end=end, after=_code(fence), head=True)
            continue
        following = text[slice(*spans[number + 1])] if number + 1 < len(spans) else ""
        header = "|" in raw and _TABLE_RULE.fullmatch(following) is not None
        if header:
            table = f"{raw}\n{following}\n"
            table = table if len(table) <= _LONGEST_OPENING else None
        elif "|" not in raw:
            table = None
        goes_on = table is not None and "|" in following
        rule = table is not None and _TABLE_RULE.fullmatch(raw) is not None
        opened = _Within(opening=table or "") if goes_on else _NOTHING
        yield _Line(start=start, end=end, after=opened, head=rule, glued=header)


def _code(fence: tuple[str, str] | None) -> _Within:
    if fence is None:
        return _NOTHING
    mark, line = fence
    shown = line if len(line) <= _LONGEST_OPENING else mark
    return _Within(closing=f"\n{mark}", opening=f"{shown}\n")


def _closes(mark: re.Match[str], fence: str) -> bool:
    run, rest = mark.groups()
    return run[0] == fence[0] and len(run) >= len(fence) and not rest.strip()


def _line_spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while True:
        end = text.find("\n", start)
        if end == -1:
            yield start, len(text)
            return
        yield start, end
        start = end + 1


def _trailing(text: str) -> int:
    return len(text) - len(text.rstrip())


def _escaped(char: str) -> int:
    return 5 if char == "&" else 4 if char in "<>" else 1
