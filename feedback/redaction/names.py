"""People's names: from the workspace's directory, from name lists, and from cue phrases."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from feedback.redaction.cues import Cues, find_cues
from feedback.redaction.directory import KnownName, NameDirectory
from feedback.redaction.lists import fold, load_words
from feedback.redaction.spans import PERSON, Span

_MENTION = re.compile(r"<@([UW][A-Z0-9]{1,20})(?:\|[^<>]*)?>")
_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f])"
_WORD = re.compile(rf"{_LETTER}+(?:[-'\u2019]{_LETTER}+)*")
_APOSTROPHE = re.compile(r"['\u2019]")
_POSSESSIVE = re.compile(r"['\u2019][sS]$")
_CONTRACTION = re.compile(r"['\u2019](?:m|ve|ll|re|d|t)$", re.IGNORECASE)
_AND = re.compile(r",? (?:and|or|&) |, (?:and |or )?")
_GAP = re.compile(r"\.? {1,2}|[._]|, ")
_PLACE_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:san|santa|saint|st\.?|los|las|fort|mount|lake|port|new|el)[ ]$"
)
_PLACE_AFTER = re.compile(
    r"(?i)[ ](?:street|st|avenue|ave|road|rd|lane|ln|boulevard|blvd|drive|square|bridge"
    r"|airport|station"
    r"|hospital|university|college|school|hotel|inn|county|island|islands|valley|beach|park"
    r"|strait)\b"
)
_PARTICLES = frozenset(
    "van von de der den ten ter da di do dos das del della la le el al bin ibn mac mc st".split()  # noqa: SIM905
)
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n\u2022>*\"\u201c(\-])\s*$")
_NOT_A_NAME = re.compile(r"(?:ing|ed|ly|able|tion|ness|ment)$")
_MONTHS = frozenset({"january", "april", "may", "june", "july", "august"})


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    folded: str
    raw: str

    @property
    def capital(self) -> bool:
        return self.raw[0].isupper()

    @property
    def shouted(self) -> bool:
        return len(self.raw) > 1 and self.raw.isupper()


class NameDetector:
    """Finds PERSON spans.

    A name of the directory counts in any spelling that can be told from an ordinary word; a name of
    the packaged lists when capitalised; any other word only after a cue ("my name is ...").

    Args:
        directory: The workspace's members.
        keep_mentions: User ids whose `<@U...>` mentions are left as they are.
    """

    def __init__(self, directory: NameDirectory, *, keep_mentions: Iterable[str] = ()) -> None:
        self._directory = directory
        self._keep = frozenset(keep_mentions)
        self._common = load_words("common_words.txt")
        ambiguous = load_words("ambiguous_names.txt") | self._common
        self._first = load_words("first_names.txt")
        self._last = load_words("last_names.txt")
        self._clear = (self._first | self._last) - ambiguous
        self._lower = {name for name in self._first - ambiguous if len(name) >= 4}

    def find(self, text: str) -> Iterator[Span]:
        """Yields findings; they may overlap."""
        if "<@" in text:
            for match in _MENTION.finditer(text):
                if match.group(1) not in self._keep:
                    yield Span(
                        type=PERSON, start=match.start(), end=match.end(), key=match.group(1)
                    )
        tokens = [
            _token(match)
            for match in _WORD.finditer(text)
            if not (_APOSTROPHE.search(match.group()) and _CONTRACTION.search(match.group()))
        ]
        cues = find_cues(text)
        found: list[Span] = []
        for index in range(len(tokens)):
            found.extend(self._known(text, tokens, index, cues))
            found.extend(self._listed(text, tokens, index))
            found.extend(self._cued(text, tokens, index, cues))
        yield from found
        if len(tokens) > 2 and found:
            yield from self._enumerated(text, tokens, found)

    # -- the directory ---------------------------------------------------------------------------

    def _known(self, text: str, tokens: list[_Token], index: int, cues: Cues) -> Iterator[Span]:
        for known in self._directory.starting_with(tokens[index].folded):
            end = _matches(text, tokens, index, known)
            if end is None:
                continue
            if len(known.words) > 1 or self._stands_alone(text, tokens, index, known, cues):
                key = known.member or " ".join(known.words)
                yield Span(type=PERSON, start=tokens[index].start, end=end, key=key)
                return

    def _stands_alone(
        self, text: str, tokens: list[_Token], index: int, known: KnownName, cues: Cues
    ) -> bool:
        """Whether one word of a member's name is meant as the name here."""
        token = tokens[index]
        if text.endswith("@", 0, token.start):
            return True
        if token.folded not in self._common:
            # A family name in lower case may be any word the lists do not know.
            return token.capital or (known.given and len(token.folded) >= 3)
        if not token.capital or token.shouted:
            return False
        if cues.polite(token.start):
            return True
        before = text[max(0, token.start - 8) : token.start]
        return not (
            token.folded in _MONTHS
            or _SENTENCE_START.search(before)
            or _beside_a_capital(text, tokens, index)
        )

    # -- the packaged lists ----------------------------------------------------------------------

    def _listed(self, text: str, tokens: list[_Token], index: int) -> Iterator[Span]:
        token = tokens[index]
        if not token.capital:
            if token.folded in self._lower and not _part_of_identifier(text, token):
                end = self._lower_end(text, tokens, index)
                if not _names_a_place(text, token, end):
                    yield _span(token, end)
            return
        if len(token.raw) == 1:
            return
        full = self._full_name(text, tokens, index)
        if full is None and self._clearly_named(text, token):
            full = token
        if full is not None and not _names_a_place(text, token, full):
            yield _span(token, full)

    def _clearly_named(self, text: str, token: _Token) -> bool:
        """Whether a listed name can be nothing else here; a short shouted word is an acronym."""
        acronym = token.shouted and len(token.raw) <= 4
        return token.folded in self._clear and not acronym and not _part_of_identifier(text, token)

    def _full_name(self, text: str, tokens: list[_Token], index: int) -> _Token | None:
        """Returns the last token of a given and family name that starts here."""
        token = tokens[index]
        end = None
        previous = token
        known = token.folded in self._first or token.folded in self._clear
        for step in range(1, 5):
            if index + step >= len(tokens):
                break
            following = tokens[index + step]
            if not _continues(text, previous, following):
                break
            if following.folded in _PARTICLES or (len(following.raw) == 1 and following.capital):
                previous = following
                continue
            if not following.capital or following.shouted != token.shouted:
                break
            listed = following.folded in self._last or following.folded in self._first
            ordinary = following.folded in self._common
            if not (known and (listed or not ordinary)) and not (
                listed and self._pairs(text, tokens, index, following)
            ):
                break
            end = following
            known = True
            previous = following
        return end

    def _pairs(self, text: str, tokens: list[_Token], index: int, following: _Token) -> bool:
        """Whether an unlisted capitalised word before a listed name belongs to it."""
        token = tokens[index]
        return (
            token.folded not in self._common
            and following.folded in self._clear
            and following.folded in self._last
            and not _SENTENCE_START.search(text[max(0, token.start - 8) : token.start])
        )

    def _lower_end(self, text: str, tokens: list[_Token], index: int) -> _Token:
        """Returns the family name written in lower case after a given name, or the given name."""
        token = tokens[index]
        for step in (1, 2):
            if index + step >= len(tokens):
                break
            following = tokens[index + step]
            if not _continues(text, tokens[index + step - 1], following):
                break
            if len(following.raw) == 1 and step == 1:
                continue
            if following.folded in self._last and following.folded not in self._common:
                return following
            break
        return token

    # -- cue phrases -----------------------------------------------------------------------------

    def _cued(self, text: str, tokens: list[_Token], index: int, cues: Cues) -> Iterator[Span]:
        token = tokens[index]
        if token.folded in self._common or len(token.raw) < 2:
            return
        if token.start in cues.name:
            if token.capital or not _NOT_A_NAME.search(token.folded):
                yield _span(token, self._cued_end(text, tokens, index, capitals=token.capital))
        elif token.capital and cues.polite(token.start):
            yield _span(token, self._cued_end(text, tokens, index, capitals=True))
        elif token.start in cues.title and (
            token.folded in self._last or token.folded in self._first
        ):
            yield _span(token, token)

    def _cued_end(self, text: str, tokens: list[_Token], index: int, *, capitals: bool) -> _Token:
        """Returns the last of at most four words that continue the name."""
        end = previous = tokens[index]
        for following in tokens[index + 1 : index + 5]:
            if not _continues(text, previous, following):
                break
            if following.folded in _PARTICLES or len(following.raw) == 1:
                previous = following
                continue
            if following.folded in self._common or (capitals and not following.capital):
                break
            if not capitals and _NOT_A_NAME.search(following.folded):
                break
            end = previous = following
        return end

    def _enumerated(self, text: str, tokens: list[_Token], found: list[Span]) -> Iterator[Span]:
        """Yields the other members of an enumeration one of whose members is a name.

        "Vasquez, Graves and Becker": one sure name vouches for its capitalised neighbours.
        """
        tokens = [token for token in tokens if token.folded not in {"and", "or"}]
        sure = [False] * len(tokens)
        for span in found:
            first = bisect_left(tokens, span.start, key=lambda token: token.start)
            last = bisect_left(tokens, span.end, key=lambda token: token.start)
            sure[first:last] = [True] * (last - first)
        order = [*range(1, len(tokens)), *range(len(tokens) - 2, -1, -1)]
        for index in order:
            for other in (index - 1, index + 1):
                if sure[index] or not 0 <= other < len(tokens) or not sure[other]:
                    continue
                left, right = sorted((tokens[index], tokens[other]), key=lambda t: t.start)
                token = tokens[index]
                if (
                    token.capital
                    and token.folded not in self._common
                    and _AND.fullmatch(text[left.end : right.start])
                    and not _part_of_identifier(text, token)
                ):
                    sure[index] = True
                    yield _span(token, token)


def _token(match: re.Match[str]) -> _Token:
    raw = match.group()
    if _APOSTROPHE.search(raw):
        raw = _POSSESSIVE.sub("", raw)
    return _Token(match.start(), match.start() + len(raw), fold(raw), raw)


def _span(first: _Token, last: _Token) -> Span:
    return Span(type=PERSON, start=first.start, end=last.end)


def _continues(text: str, previous: _Token, following: _Token) -> bool:
    """Whether two words may belong to one name; a full stop after a whole word ends it."""
    gap = text[previous.end : following.start]
    if "," in gap or not _GAP.fullmatch(gap):
        return False
    return not gap.startswith(". ") or len(previous.raw) <= 2


def _names_a_place(text: str, first: _Token, last: _Token) -> bool:
    """Whether the words around a listed name make it a street, a city or a building."""
    before = text[max(0, first.start - 8) : first.start]
    return bool(_PLACE_BEFORE.search(before) or _PLACE_AFTER.match(text, last.end))


def _matches(text: str, tokens: list[_Token], index: int, known: KnownName) -> int | None:
    """Returns where `known` ends if it stands at `index`; an initial may stand in between."""
    position = index
    for place, word in enumerate(known.words):
        if position >= len(tokens):
            return None
        token = tokens[position]
        if place > 0:
            if not _GAP.fullmatch(text[tokens[position - 1].end : token.start]):
                return None
            if token.folded != word and len(token.raw) == 1 and position + 1 < len(tokens):
                position += 1
                token = tokens[position]
        if token.folded != word:
            return None
        position += 1
    return tokens[position - 1].end


def _part_of_identifier(text: str, token: _Token) -> bool:
    """Whether the word is a piece of a file name, path, host or code identifier."""
    before = text[token.start - 1] if token.start else " "
    after = text[token.end : token.end + 2]
    joined = after[:1] in {"_", "/", "\\", "=", "("} or (
        after[:1] in {".", "-", ":"} and after[1:2].isalnum()
    )
    return before in "_/\\.-=$#%" or before.isdigit() or joined or after[:1].isdigit()


def _beside_a_capital(text: str, tokens: list[_Token], index: int) -> bool:
    """Whether a neighbour is capitalised as well, as in a heading."""
    neighbours = []
    if index > 0 and text[tokens[index - 1].end : tokens[index].start] == " ":
        neighbours.append(tokens[index - 1])
    if index + 1 < len(tokens) and text[tokens[index].end : tokens[index + 1].start] == " ":
        neighbours.append(tokens[index + 1])
    return any(token.capital and token.raw != "I" for token in neighbours)
