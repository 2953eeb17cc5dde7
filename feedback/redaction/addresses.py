"""Street addresses: a street word with a number, a unit, a box, or what follows "my address is"."""

import re
from collections.abc import Iterator

from feedback.redaction.lists import fold, load_words
from feedback.redaction.spans import STREET_ADDRESS, Span

_W = r"[^\W\d_][\w.'\u2019\-]*"
_CAP = r"[^\W\d_a-z][\w.'\u2019\-]*"

_STREET_WORDS = (
    r"street|avenue|road|lane|boulevard|drive|court|square|squares|place|terrace|parkway"
    r"|highway|crescent|close"
    r"|circle|trail|alley|mews|walk|way|row|hill|gardens|grove|plaza|pass|harbor|flat|forges"
    r"|turnpike|expressway"
)
_STREET_ABBREVIATIONS = r"St|Ave|Av|Rd|Ln|Blvd|Dr|Ct|Sq|Pl|Ter|Pkwy|Hwy|Cres|Cir"
# 24 Clarke Avenue, 1987 74 Diakou Street, 221b Baker St., 5 Fifth Ave
_ENGLISH = re.compile(
    rf"(?<![\w$\u20ac\u00a3.,\-])\d{{1,6}}[A-Za-z]?(?:[ ,]+\d{{1,6}})?,?[ ]+(?P<name>(?:"
    rf"(?:\d{{1,3}}(?:st|nd|rd|th)|{_W})[ ]+){{1,4}}?)"
    rf"(?P<word>(?i:{_STREET_WORDS})|{_STREET_ABBREVIATIONS})\b\.?"
)
# Hauptstraße 5, Magasinsgatan 7, Lyngveien 46, Kiannonkatu 98, Populierenstraat 374
_COMPOUND = re.compile(
    r"(?<!\w)(?:\d{1,6} )?[^\W\d_]{2,}(?i:stra(?:ß|ss)e|str\.|gatan|gata|gade|vej|veien|vegen"
    r"|v(?:ä|a)gen|katu|ntie|kuja"
    r"|straat|laan|gracht|plein|gasse|gässli|allee|platz|utca|braut|str(?:æ|ae)ti|ulica"
    r"|graben|krogen|kade|weg)"
    r"[ ]+\d{1,5}(?:[ ]?[a-zA-Z](?!\w))?(?![\w.,]\d|\w)"
)
# 12 Rue de la Paix, ul. Chrzanowska 61, Via Roma 5, Avenida Praia 1, Calle Mayor 10
_PREFIX_WORD = (
    r"[Rr]ue|[Aa]venue|[Bb]oulevard|[Aa]venida|[Rr]ua|[Cc]alle|[Cc]arrera|[Ss]trada|[Vv]iale"
    r"|Via|[Pp]iazza|[Pp]laza|[Cc]hemin"
    r"|[Uu]l\.|[Uu]lica|[Pp]asseig|[Cc]orso|[Pp]raça|[Tt]ravessa"
)
_PARTICLES = r"(?:(?i:de|du|des|la|le|les|del|della|dei|do|da|dos|das|di|d'|l'|el)[ ]?)"
_ROMANCE = re.compile(
    rf"(?<!\w)(?:(?P<before>\d{{1,6}}(?:[ ]?(?:bis|ter"
    rf"|[a-zA-Z]))?,?[ ]+(?:\d{{1,6}}[ ]+)?))?(?:{_PREFIX_WORD})[ ]+{_PARTICLES}{{0,3}}"
    rf"{_W}(?:[ ]{_PARTICLES}{{0,2}}{_CAP}){{0,3}}(?P<after>,?[ ]\d{{1,5}}(?!\w|[.,]\d))?"
)
_UNIT = r"(?i:(?:apartment|apt|suite|ste)\b\.?)[ ]*#?[ ]?\d{1,5}[A-Za-z]?(?!\w)"
# 28030 Edeby 55, Apt. 297: whatever carries a number before a unit is the street.
_BEFORE_UNIT = re.compile(
    rf"(?<!\w)(?:\d{{1,6}}[ ]+)?(?:{_W}[ ]+){{1,5}}?\d{{1,5}}[A-Za-z]?\.?,?\s+[> ]*{_UNIT}"
)
_UNIT_ALONE = re.compile(rf"(?<!\w){_UNIT}")
_BOX = re.compile(
    r"(?<!\w)(?i:(?:p\.?[ ]?o\.?[ ]?box[ ]+\d+)|(?:(?:psc|cmr|unit)[ ]+\d+,?[ ]+box[ ]+\d+))(?!\w)"
    r"(?:,?\s+(?i:[afd]po\s+a[aep]\s+\d{5}(?:-\d{4})?))?"
)
_MILITARY = re.compile(
    r"(?i)(?<!\w)(?:us\w{1,4}\s+[^\W\d_]+\s+)?[afd]po,?\s+a[aep]\s+\d{5}(?:-\d{4})?(?!\w)"
)
# Springfield, IL 62704
_CITY_STATE_ZIP = re.compile(
    rf"(?<!\w){_CAP}(?:[ ]{_CAP}){{0,2}},[ ][A-Z]{{2}}[ ]\d{{5}}(?:-\d{{4}})?(?!\w)"
)
_CUE = re.compile(
    r"(?i)\b(?:address(?:\s+(?:is|was|to|of \S+ is|of the \S+ is|:))?|(?:live[sd]?|living"
    r"|reside[sd]?|located|based)\s+(?:now\s+)?(?:in|at|on)"
    r"|meet me at|arrived at|sent to|send (?:it|this|them|one) to|deliver(?:ed)? (?:it |this "
    r"|them )?to"
    r"|drops you off at|ship(?:ped)? (?:it |this |them )?to|enter on"
    r"|the corner of)\s*[:=]?(?:\s*the same[:,]?)?\s*"
)
# The address itself after a cue: "68 Dalmatinova, Zagreb", "Ringvej 144".
_CUED = re.compile(
    rf"(?P<first>\d{{1,6}}[A-Za-z]?[ ]+(?:\d{{1,6}}[ ]+)?(?:{_CAP})(?:[ ]{_W}){{0,3}}"
    rf"(?:[ ]\d{{1,5}}(?!\w))?)"
    rf"|(?P<last>(?:{_CAP}[ ]){{1,4}}\d{{1,5}}[A-Za-z]?(?![\w%]))"
)
# What may follow a street: units, places with a post code, a country. Mail quotes lines with ">".
_GAP = r"(?:,?\s*\n[ >]*,?[ ]*|[ ]*,[ ]*|[ ]+)"
_PLACE = rf"{_CAP}(?:[ ]{_CAP}){{0,2}}(?:[ ]\([^)\n]{{2,20}}\))?"
_MORE = re.compile(
    "|".join(
        (
            rf"{_GAP}{_UNIT}",
            (
                rf"(?:{_GAP}(?:nan\b|{_PLACE})){{1,4}}{_GAP}(?:\d{{3,6}}(?:-\d{{3,4}})?|nan)(?!\w"
                rf"|[.,]\d)"
            ),
            rf"{_GAP}\d{{4,6}}(?:[ ]{_CAP}){{1,2}}",
            rf"(?:,[ ]*|,?\s*\n[ >]*){_PLACE}(?=\s*(?:$|\n|\.(?:\s|$)|,))",
        )
    )
)
_MAX_EXTENSIONS = 6
_HINT = re.compile(r"\d")


class AddressDetector:
    """Finds addresses that carry a number; a street without one is left alone."""

    def __init__(self) -> None:
        self._common = load_words("common_words.txt")

    def find(self, text: str) -> Iterator[Span]:
        """Yields STREET_ADDRESS spans; they may overlap."""
        if not _HINT.search(text):
            return
        for start, end in self._cores(text):
            yield Span(type=STREET_ADDRESS, start=start, end=_extended(text, end))
        for pattern in (_UNIT_ALONE, _BOX, _MILITARY, _CITY_STATE_ZIP):
            for match in pattern.finditer(text):
                yield Span(type=STREET_ADDRESS, start=match.start(), end=match.end())

    def _cores(self, text: str) -> Iterator[tuple[int, int]]:
        for match in _ENGLISH.finditer(text):
            if self._names_a_street(match.group("name"), match.group("word")):
                yield match.span()
        for match in _COMPOUND.finditer(text):
            yield match.span()
        for match in _ROMANCE.finditer(text):
            if match.group("before") or match.group("after"):
                yield match.span()
        for match in _BEFORE_UNIT.finditer(text):
            yield match.span()
        for cue in _CUE.finditer(text):
            core = _CUED.match(text, cue.end())
            if core and self._is_place(core):
                yield core.span()

    def _names_a_street(self, name: str, word: str) -> bool:
        """Whether `name` reads as a street's: "3 days on the road" does not."""
        tokens = name.split()
        capitalised = all(not token[0].islower() for token in tokens)
        if word[0].isupper() and capitalised:
            return True
        plain = any(fold(token.strip(".,")) in self._common for token in tokens)
        strong = word.casefold() in {"street", "avenue", "road", "lane", "boulevard", "square"}
        return strong and not plain and len(tokens) <= 2

    def _is_place(self, core: re.Match[str]) -> bool:
        tokens = [token for token in core.group().split() if token[0].isalpha()]
        return not any(fold(token.strip(".,")) in self._common for token in tokens[:1])


def _extended(text: str, end: int) -> int:
    """Returns the end of the address that starts with the core ending at `end`."""
    for _ in range(_MAX_EXTENSIONS):
        more = _MORE.match(text, end)
        if more is None:
            return end
        end = more.end()
    return end
