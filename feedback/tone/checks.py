"""The kinds of style rule, after Vale's checks (`errata-ai/vale: internal/check/*.go`).

Each check finds hits in one block; it knows neither the rule's name nor its level.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding in a block.

    Attributes:
        arguments: What the message's `%s` stand for, in order.
    """

    start: int
    end: int
    arguments: tuple[str, ...] = ()


class Check(Protocol):
    """One kind of rule with its settings."""

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields what the rule objects to in one block."""
        ...


@dataclass(frozen=True, kw_only=True)
class Existence:
    """Objects to every match."""

    pattern: Pattern
    exceptions: Pattern | None = None

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields one hit a match; the message gets the match."""
        for match in self.pattern.finditer(text):
            if match.group() and not _excepted(self.exceptions, match.group()):
                yield Hit(match.start(), match.end(), (match.group().strip(),))


@dataclass(frozen=True, kw_only=True)
class Substitution:
    """Objects to a word for which there is a better one.

    Attributes:
        swaps: `(pattern, better word)` in the rule's order; the first that matches decides.
        capitalize: Whether the better word takes over a capital first letter.
    """

    swaps: tuple[tuple[Pattern, str], ...]
    exceptions: Pattern | None = None
    capitalize: bool = False

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields one hit a match; the message gets the better word, then the match."""
        taken: list[tuple[int, int]] = []
        for pattern, better in self.swaps:
            for match in pattern.finditer(text):
                observed = match.group()
                options = better.split("|")
                covered = any(a < match.end() and match.start() < b for a, b in taken)
                if covered or not observed or observed in options:
                    continue
                if _excepted(self.exceptions, observed):
                    continue
                taken.append(match.span())
                if self.capitalize and observed[0].isupper():
                    options = [option[:1].upper() + option[1:] for option in options]
                yield Hit(match.start(), match.end(), ("' or '".join(options), observed))


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """Objects when a pattern stands too often or too rarely in a block."""

    pattern: Pattern
    max: int | None = None
    min: int | None = None

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields one hit: the first match too many, or the whole block when something lacks."""
        matches = [match for match in self.pattern.finditer(text) if match.group()]
        count = str(len(matches))
        if self.max is not None and len(matches) > self.max:
            surplus = matches[self.max]
            yield Hit(surplus.start(), surplus.end(), (count,))
        elif self.min is not None and len(matches) < self.min:
            yield Hit(0, len(text), (count,))


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Objects to the same match more than `max` times in a row."""

    pattern: Pattern
    max: int = 0
    alpha: bool = False
    ignorecase: bool = False

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields one hit for every pair too many; the message gets the repeated word."""
        previous: re.Match[str] | None = None
        count = 0
        for match in self.pattern.finditer(text):
            if previous is not None and self._same(previous, match):
                count += 1
                between = text[previous.end() : match.start()]
                if count > self.max and not between.strip() and "\n" not in between:
                    yield Hit(previous.start(), match.end(), (match.group().strip(),))
                    count = 0
            else:
                count = 0
            previous = match

    def _same(self, left: re.Match[str], right: re.Match[str]) -> bool:
        a, b = left.group().strip(), right.group().strip()
        if self.ignorecase:
            a, b = a.casefold(), b.casefold()
        return a == b != "" and (not self.alpha or a.isalpha())


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Objects to the second of two spellings once the first was used."""

    pairs: tuple[tuple[Pattern, Pattern], ...]

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields every use of the spelling that came later."""
        for one, other in self.pairs:
            left, right = list(one.finditer(text)), list(other.finditer(text))
            if not left or not right:
                continue
            later = right if left[0].start() <= right[0].start() else left
            for match in later:
                yield Hit(match.start(), match.end(), (match.group(),))


@dataclass(frozen=True, kw_only=True)
class Conditional:
    """Objects to a first thing without its second, such as an acronym never written out."""

    first: Pattern
    second: Pattern
    exceptions: frozenset[str] = frozenset()

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields every first thing that no second thing in the block introduces."""
        known = {_captured(match) for match in self.second.finditer(text)} | self.exceptions
        for match in self.first.finditer(text):
            if _captured(match) not in known:
                yield Hit(match.start(), match.end(), (_captured(match),))


_SMALL = frozenset(
    "a an and as at but by en for if in nor of on or per so the to up via vs yet".split()  # noqa: SIM905
)
_TOKEN = re.compile(r"[^\s/\-]+")


@dataclass(frozen=True, kw_only=True)
class Capitalization:
    """Objects to a block that is not written in the wanted case.

    Attributes:
        match: `$title`, `$sentence`, `$lower`, `$upper`, or the source of a regular expression.
        style: For `$title`: `AP` capitalises words of four letters or more, `Chicago` all but
            articles, conjunctions and prepositions of the small list.
        threshold: Share of words that must be right, 0..1.
        indicators: Marks after which a sentence begins anew (`$sentence`).
    """

    match: str
    pattern: Pattern | None = None
    style: str = "AP"
    exceptions: frozenset[str] = frozenset()
    indicators: tuple[str, ...] = ()
    threshold: float = 0.8
    prefix: Pattern | None = None

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields the block when its case is wrong; the message gets the block."""
        skipped = self.prefix.match(text) if self.prefix else None
        start = skipped.end() if skipped else 0
        content = text[start:].strip()
        if content and not self._is_right(content):
            yield Hit(start, len(text), (content,))

    def _is_right(self, text: str) -> bool:
        if self.pattern is not None:
            return self.pattern.search(text) is not None
        if self.match == "$lower":
            return text == text.lower() or self._share(text, lambda w, _: w == w.lower()) == 1
        if self.match == "$upper":
            return text == text.upper() or self._share(text, lambda w, _: w == w.upper()) == 1
        if self.match == "$title":
            return self._share(text, self._title_word) >= self.threshold
        words = _TOKEN.findall(text)
        begins = words[0][:1].isupper() or not words[0][:1].isalpha() or words[0] in self.exceptions
        return begins and self._share(text, self._sentence_word) >= self.threshold

    def _share(self, text: str, right: "WordRule") -> float:
        words = [word.strip("\"'()[].,:;!?*_`") for word in _TOKEN.findall(text)]
        places = [_place(index, len(words)) for index in range(len(words))]
        if self.match == "$sentence" and self.indicators:
            raw = _TOKEN.findall(text)
            for index in range(1, len(raw)):
                if raw[index - 1].endswith(self.indicators):
                    places[index] = "first"
        judged = [
            right(word, place)
            for word, place in zip(words, places, strict=True)
            if word and word not in self.exceptions
        ]
        return sum(judged) / len(judged) if judged else 1.0

    def _title_word(self, word: str, place: str) -> bool:
        small = word.lower() in _SMALL and (self.style != "AP" or len(word) < 4)
        if small and place == "inside":
            return word == word.lower()
        return not word[0].isalpha() or word[0].isupper()

    def _sentence_word(self, word: str, place: str) -> bool:
        if place == "first" or not word[0].isalpha() or word in {"I", "I'm"}:
            return True
        # An acronym or a name with an inner capital is no matter of sentence case.
        return word[0].islower() or any(ch.isupper() for ch in word[1:])


class WordRule(Protocol):
    """Judges one word by its place in the block."""

    def __call__(self, word: str, place: str, /) -> bool:
        """Returns whether the word is right at `place`: first, inside or last."""
        ...


def _place(index: int, count: int) -> str:
    return "first" if index == 0 else "last" if index == count - 1 else "inside"


def _captured(match: re.Match[str]) -> str:
    group = match.group(1) if match.re.groups else None
    return group if group is not None else match.group()


def _excepted(exceptions: Pattern | None, text: str) -> bool:
    return exceptions is not None and exceptions.fullmatch(text.strip()) is not None


Settings = Mapping[str, object]
