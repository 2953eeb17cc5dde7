"""Phone numbers: formats that nothing else has, and looser ones after a word such as "call"."""

import re
from collections.abc import Iterator

from feedback.redaction.spans import PHONE_NUMBER, Span

_EXTENSION = r"(?:\s?(?:x|ext\.?|extension)\s?\d{1,6})?"
_SEP = r"[\s.\-/]{0,2}"
_FREE = r"(?<![\w.+\-/#])"
_END = r"(?![\w\-/]|[.,:]\d)"

_STRONG = re.compile(
    "|".join(
        (
            # International: +41 (0)96 471 07 95, +1-903-140-4508x769, 0044 20 7946 0018.
            (
                rf"{_FREE}(?:\+"
                rf"|00[1-9])\d{{0,3}}{_SEP}(?:\(\d{{1,4}}\){_SEP})?\d"
                rf"(?:{_SEP}\d){{5,13}}{_EXTENSION}{_END}"
            ),
            # North America: (898)666-3621x0135, 905-674-3793, 259.735.7502, 001-253-366-9781.
            (
                rf"{_FREE}(?:(?:\+?1|001)[\s.\-])?(?:\(\d{{3}}\)\s?"
                rf"|\d{{3}}[\-. ])\d{{3}}[\-. ]\d{{4}}{_EXTENSION}{_END}"
            ),
            # Area code in brackets: (64) 3591-3246, (020) 7946 0018.
            rf"{_FREE}\(\d{{2,5}}\)\s?\d{{3,4}}[\s\-]?\d{{3,4}}{_EXTENSION}{_END}",
            # A leading zero and groups: 0494 92 82 32, 03.93.92.16.85, 0961-7596216, 020 7946 0018.
            rf"{_FREE}0\d{{1,4}}(?:[\s.\-/]\d{{2,4}}){{2,4}}{_END}",
            rf"{_FREE}0\d{{2,4}}[\-/ ]\d{{6,8}}{_END}",
            rf"{_FREE}07\d{{9}}{_END}",
        )
    )
)
_WEAK = re.compile(rf"{_FREE}\+?\(?\d(?:[\s.\-()]{{0,2}}\d){{5,14}}{_EXTENSION}{_END}")
_CUE = re.compile(
    r"(?i)\b(?:call|ring|phone|telephone|tel|mobile|cell|cellphone|fax|desk|whatsapp|sms|text|reach"
    r"|registered|dial|landline|handset|contact|direct line|phone number)\b\.?"
    r"(?:\s+(?:me|us|him|her|them|back|number|no|nr|num|is|on|at|via|under|directly|now"
    r"|please|phone"
    r"|mobile|the|my|our|his|this|new|old|work|home|changed|to))*\s*[:#=.\-\u2013]*\s*$"
)
_CUE_WINDOW = 60
_DIGIT = re.compile(r"\d")
_DATE = re.compile(r"\d{4}[-./]\d\d?[-./]\d\d?$|\d\d?[-./]\d\d?[-./]\d{2,4}$")
_MIN_DIGITS, _MAX_DIGITS = 7, 15  # E.164 allows fifteen


class PhoneDetector:
    """Finds phone numbers; order numbers, prices and versions are none."""

    def find(self, text: str) -> Iterator[Span]:
        """Yields PHONE_NUMBER spans; they may overlap."""
        if len(_DIGIT.findall(text)) < _MIN_DIGITS:
            return
        for match in _STRONG.finditer(text):
            if _plausible(match.group()):
                yield Span(type=PHONE_NUMBER, start=match.start(), end=match.end())
        for match in _WEAK.finditer(text):
            start = match.start()
            if _plausible(match.group()) and _CUE.search(text[max(0, start - _CUE_WINDOW) : start]):
                yield Span(type=PHONE_NUMBER, start=start, end=match.end())


def _plausible(value: str) -> bool:
    number = re.split(r"x|ext", value, maxsplit=1, flags=re.IGNORECASE)[0]
    digits = sum(ch.isdigit() for ch in number)
    return _MIN_DIGITS <= digits <= _MAX_DIGITS and not _DATE.match(value.strip())
