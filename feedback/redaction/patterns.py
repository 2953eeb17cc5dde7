"""Identifiers with a format: e-mail, cards, bank accounts, machines, dates and numbers."""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from feedback.redaction.checksums import iban, iban_length, luhn
from feedback.redaction.spans import (
    CREDIT_CARD,
    CRYPTO,
    DATE_TIME,
    EMAIL_ADDRESS,
    IBAN_CODE,
    IP_ADDRESS,
    MAC_ADDRESS,
    PHONE_NUMBER,
    UK_NINO,
    URL,
    US_BANK_NUMBER,
    US_DRIVER_LICENSE,
    US_PASSPORT,
    US_SSN,
    ZIP_CODE,
    Span,
)

# Slack writes links as <scheme:target|label>.
_SLACK_LINK = re.compile(r"<(https?://|mailto:|tel:)([^<>|\s]+)(?:\|([^<>]*))?>")
_SLACK_TYPES = {"mailto:": EMAIL_ADDRESS, "tel:": PHONE_NUMBER}

_EMAIL = re.compile(
    r"(?<!\w)\w[\w.+%'\u2019\-]{0,127}@"
    r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w])"
)
_EMAIL_SPELLED = re.compile(
    r"(?i)(?<![\w.])[\w.+\-]{2,64}\s*[\[({]\s*at\s*[\])}]\s*[\w\-]{2,63}"
    r"(?:\s*(?:[\[({]\s*dot\s*[\])}]|\.)\s*[a-z]{2,24})+"
)
_URL = re.compile(
    r"(?i)\b(?:https?|ftps?|wss?)://[^\s<>\"'`|\ue000]+|\bwww\.[^\s<>\"'`|\ue000]{4,}"
)
_BARE_URL = re.compile(
    r"(?i)(?<![\w@./\-])(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.)+"
    r"(?:com|org|net|io|co|dev|app|ai|eu|uk|de|fr|es|it|nl|us|ca|info|biz|edu|gov)/[^\s<>\"'`"
    r"|\ue000]+"
)
_HOST = re.compile(r"(?i)^(?:[a-z]+://)?(?:[^@/]*@)?([^/:?#]+)")

_CARD_DIGITS = re.compile(r"(?<![\w.])\d(?:[ \-\u00a0]?\d){11,60}(?![\w]|[.,]\d)")
_GROUP = re.compile(r"\d+")
_CARD_CUE = re.compile(r"(?i)\b(?:card|visa|mastercard|amex|debit|credit)\b[^\d\n]{0,25}$")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_IBAN_CUE = re.compile(r"(?i)\biban\b.{0,20}$")

_IPV4 = re.compile(
    r"(?<![\w.\-])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w\-]|\.\d)"
)
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:%\w+)?(?![\w:])")
_MAC = re.compile(
    r"(?<![\w:\-])[0-9A-Fa-f]{2}(?:([:\-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![\w:\-])"
)
_VERSION_CUE = re.compile(r"(?i)(?:\bv|version|release|build|firmware|patch|update to)\.?\s*$")
# Machines that belong to nobody: this host, any host, net masks.
_NOBODYS = re.compile(r"^(?:127\.|0\.0\.0\.0$|255\.)")

_SSN = re.compile(
    r"(?<![\w\-])(?!000|666|9\d\d)\d{3}(?P<sep>[\- ])(?!00)\d\d(?P=sep)(?!0000)\d{4}(?![\w\-])"
)
_SSN_CUE = re.compile(r"(?i)\b(?:ssn|social security)\b[^\d\n]{0,20}(?P<number>\d{9})(?!\d)")
_NINO = re.compile(
    r"(?i)(?<!\w)(?!BG|GB|NK|KN|TN|NT"
    r"|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"
)
_CRYPTO = re.compile(
    r"(?<!\w)(?:0x[0-9a-fA-F]{40}|bc1[a-z0-9]{25,60}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})(?!\w)"
)

_PASSPORT = (
    r"passport(?:\s*(?:number|no\.?|num|#))?(?:\s*(?:is|:|=))?\s*#?\s*(?P<v>[A-Z]{0,2}\d{6,9})"
)
_LICENCE = (
    r"driv(?:er'?s?|ing) licen[cs]e(?:\s*(?:number|no\.?|num|#))?(?:\s*(?:is|:|=))?\s*#?\s*"
    r"(?P<v>[A-Z]{0,5}[\- ]?\d[A-Z0-9\-]{4,17})"
)
_ACCOUNT = (
    r"(?:account|acct|routing|sort[ -]?code)(?:\s*(?:number|no\.?|num|code|#))?"
    r"(?:\s*(?:is|:|=|ending in))?\s*#?\s*(?P<v>\d{2}-\d{2}-\d{2}|\d{6,17})"
)
_ZIP = (
    r"(?:zip|postal|post)(?:[ -]?code)?(?:\s*(?:is|:|=))?\s*"
    r"(?P<v>\d{5}-\d{3,4}|\d{3} \d{2}|\d{4} ?[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4,6})"
)
_CUED_PATTERNS = tuple(
    (type_, re.compile(rf"(?i:\b{pattern})(?![\w])"))
    for type_, pattern in (
        (US_PASSPORT, _PASSPORT),
        (US_DRIVER_LICENSE, _LICENCE),
        (US_BANK_NUMBER, _ACCOUNT),
        (ZIP_CODE, _ZIP),
    )
)
_UK_POSTCODE = re.compile(r"(?<!\w)[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)")

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:1[89]|20)\d\d"
_CLOCK = (
    r"(?:[T ,]\s?\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\b\.?)?"
    r"(?:\s?(?:Z|UTC|GMT|[+\-]\d\d:?\d\d))?)?"
)
_DATES = (
    rf"{_YEAR}[\-/.](?:0?[1-9]|1[0-2])[\-/.]{_DAY}(?!\d){_CLOCK}",
    rf"{_DAY}([\-/.]){_DAY}\1(?:{_YEAR}|\d\d)(?![\d.]){_CLOCK}",
    rf"{_DAY}(?:st|nd|rd|th)?(?: of)?[ \-]{_MONTH}(?:,?[ \-]{_YEAR})?(?!\w){_CLOCK}",
    rf"{_MONTH} {_DAY}(?:st|nd|rd|th)?(?:,? {_YEAR})?(?![\w:])(?!\.\d){_CLOCK}",
    rf"{_MONTH},? {_YEAR}(?!\w)",
)
_DATE = re.compile(rf"(?<![\w.\-/$\u20ac\u00a3])(?:{'|'.join(_DATES)})")
# The month's name in lower case only where nothing else can be meant ("i may 5" is no date).
_LOWER_DATE = re.compile(
    rf"(?<![\w.\-/])(?:{_DAY}(?:st|nd|rd|th)(?: of)? {_MONTH.lower()}|(?!mar\b|may\b|dec\b|sep\b)"
    rf"{_MONTH.lower()} {_DAY}(?:st|nd|rd|th))(?:,? {_YEAR})?(?!\w)"
)
_CUED_YEAR = re.compile(
    r"(?i:\b(?:in|since|during|until|till|from|of|before|after|year|born|around|by"
    r"|circa)\s+(?:the year\s+)?)"
    r"(?P<v>(?:19|20)\d\d)(?![\w\-/:]|[.,]\d)(?! ?(?:%|\$|\u20ac|EUR|USD|GBP|dollars|euros"
    r"|pounds|MB|GB|ms))"
)
_DIGIT = re.compile(r"\d")


class PatternDetector:
    """Finds identifiers by format and check digits.

    Args:
        allowed_hosts: Hosts whose URLs stay, with their subdomains.
    """

    def __init__(self, *, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed = tuple(host.casefold().lstrip(".") for host in allowed_hosts)

    def find(self, text: str) -> Iterator[Span]:
        """Yields findings; they may overlap."""
        if "<" in text:
            yield from self._slack_links(text)
        if "@" in text:
            yield from _all(_EMAIL, EMAIL_ADDRESS, text)
        if "at" in text or "AT" in text:
            yield from _all(_EMAIL_SPELLED, EMAIL_ADDRESS, text)
        if "." in text or "://" in text:
            yield from self._urls(text)
        if ":" in text:
            yield from _machines_with_colons(text)
        if _DIGIT.search(text):
            yield from _with_digits(text)

    def _slack_links(self, text: str) -> Iterator[Span]:
        for match in _SLACK_LINK.finditer(text):
            scheme, target = match.group(1), match.group(2)
            type_ = _SLACK_TYPES.get(scheme, URL)
            if type_ == URL:
                target = scheme + target
                if self._is_public(target):
                    continue
            yield Span(type=type_, start=match.start(), end=match.end(), key=target)

    def _urls(self, text: str) -> Iterator[Span]:
        for pattern in (_URL, _BARE_URL):
            for match in pattern.finditer(text):
                end = _url_end(text, *match.span())
                if not self._is_public(text[match.start() : end]):
                    yield Span(type=URL, start=match.start(), end=end)

    def _is_public(self, url: str) -> bool:
        match = _HOST.match(url)
        host = match.group(1).casefold() if match else ""
        return any(host == allowed or host.endswith("." + allowed) for allowed in self._allowed)


def _url_end(text: str, start: int, end: int) -> int:
    """Returns `end` without the punctuation of the sentence around the URL."""
    while end > start and text[end - 1] in ".,;:!?*_'\")]}":
        if text[end - 1] == ")" and "(" in text[start:end]:
            break
        end -= 1
    return end


def _all(pattern: re.Pattern[str], type_: str, text: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        group = "v" if "v" in pattern.groupindex else 0
        yield Span(type=type_, start=match.start(group), end=match.end(group))


def _machines_with_colons(text: str) -> Iterator[Span]:
    yield from _all(_MAC, MAC_ADDRESS, text)
    for match in _IPV6.finditer(text):
        value = match.group().partition("%")[0]
        try:
            address = ipaddress.IPv6Address(value)
        except ValueError:
            continue
        # "::" and "1::" are punctuation more often than machines.
        if sum(ch.isalnum() for ch in value) >= 4 and not address.is_loopback:
            yield Span(type=IP_ADDRESS, start=match.start(), end=match.end())


def _with_digits(text: str) -> Iterator[Span]:
    yield from _cards(text)
    yield from _ibans(text)
    yield from _ipv4(text)
    yield from _all(_SSN, US_SSN, text)
    for match in _SSN_CUE.finditer(text):
        yield Span(type=US_SSN, start=match.start("number"), end=match.end("number"))
    yield from _all(_NINO, UK_NINO, text)
    yield from _all(_CRYPTO, CRYPTO, text)
    if "-" in text:
        yield from _all(_MAC, MAC_ADDRESS, text)
    for type_, pattern in _CUED_PATTERNS:
        yield from _all(pattern, type_, text)
    yield from _all(_UK_POSTCODE, ZIP_CODE, text)
    yield from _all(_DATE, DATE_TIME, text)
    yield from _all(_LOWER_DATE, DATE_TIME, text)
    yield from _all(_CUED_YEAR, DATE_TIME, text)


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD_DIGITS.finditer(text):
        # Other numbers may stand beside the card's, so every stretch of whole groups is tried.
        groups = [group.span() for group in _GROUP.finditer(text, *match.span())]
        for first in range(len(groups)):
            digits = ""
            for last in range(first, len(groups)):
                digits += text[slice(*groups[last])]
                if len(digits) > 19:
                    break
                start, end = groups[first][0], groups[last][1]
                if len(digits) >= 12 and _is_card(text, start, digits):
                    yield Span(type=CREDIT_CARD, start=start, end=end)


def _is_card(text: str, start: int, digits: str) -> bool:
    """Whether `digits` at `start` are a card's number.

    A mistyped card number is still one; without the word "card" the check digit decides.
    """
    cued = bool(_CARD_CUE.search(text, max(0, start - 45), start))
    return (luhn(digits) and (cued or _issued(digits))) or (cued and len(digits) >= 15)


def _issued(digits: str) -> bool:
    """Whether the first digits belong to a card scheme that issues numbers of this length."""
    length = len(digits)
    if digits[0] == "4":
        return length in {13, 16, 19}
    if digits[:2] in {"34", "37"}:
        return length == 15
    if digits[:2] in {"30", "36", "38", "39"}:
        return length == 14
    if digits[:4] in {"1800", "2131"}:
        return length == 15
    if "51" <= digits[:2] <= "55" or "2221" <= digits[:4] <= "2720":
        return length == 16
    return digits[:2] in {"35", "50", "56", "57", "58", "60", "62", "63", "64", "65", "67"} and (
        length in {12, 16, 17, 18, 19}
    )


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        wanted = iban_length(match.group()[:2])
        if wanted is None:
            continue
        end = _after_characters(text, match.start(), match.end(), wanted)
        if end is None:
            continue
        value = text[match.start() : end].replace("-", "")
        cued = _IBAN_CUE.search(text, max(0, match.start() - 30), match.start())
        if cued or iban(value):
            yield Span(type=IBAN_CODE, start=match.start(), end=end)


def _after_characters(text: str, start: int, end: int, wanted: int) -> int | None:
    """Returns the position after the `wanted`-th letter or digit, None when there are fewer."""
    count = 0
    for position in range(start, end):
        count += text[position].isalnum()
        if count == wanted:
            return position + 1
    return None


def _ipv4(text: str) -> Iterator[Span]:
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - 12) : match.start()]
        if _VERSION_CUE.search(before) or _NOBODYS.match(match.group()):
            continue
        yield Span(type=IP_ADDRESS, start=match.start(), end=match.end())
