"""Typed, numbered stand-ins (`<PERSON_1>`) that stay the same within one conversation.

The scope remembers keyed digests, never values: `HMAC-SHA256(key, tenant | type | normal form)`.
A bare hash would not do, since e-mail addresses and Slack ids can be enumerated. Secrets are not
remembered at all; every one becomes `<SECRET>`.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from feedback.errors import ConfigurationError, InvalidInputError
from feedback.redaction.spans import (
    DATE_TIME,
    ENTITY_TYPES,
    PERSON,
    PHONE_NUMBER,
    SECRET,
    URL,
)

_NUMBERED = "|".join(sorted(ENTITY_TYPES - {SECRET}))
PLACEHOLDER = re.compile(rf"<(?:{SECRET}|({_NUMBERED})_([1-9][0-9]{{0,5}}))>")
"""A stand-in in a text; groups: type and number, both None for `<SECRET>`."""

SECRET_PLACEHOLDER = f"<{SECRET}>"
_MIN_KEY_BYTES = 16
_DIGEST_CHARS = 32  # 128 bits: no collision within a conversation


class PlaceholderScope:
    """The numbers one conversation has given out.

    A number that stands in the conversation's input as text (somebody typed `<PERSON_1>`) is
    reserved: it is kept as it is and never given to a value, so that it cannot be taken for one.

    Args:
        key: Secret for the digests, at least 16 bytes, kept outside the database.
        tenant: The workspace; the same value in two workspaces has two digests.
    """

    def __init__(self, key: bytes, *, tenant: str = "") -> None:
        if len(key) < _MIN_KEY_BYTES:
            raise ConfigurationError(
                f"the redaction key has {len(key)} bytes; give at least {_MIN_KEY_BYTES}"
            )
        self._key = key
        self._tenant = tenant
        self._numbers: dict[str, dict[str, int]] = {}
        self._reserved: dict[str, set[int]] = {}

    def placeholder(self, type_: str, value: str) -> str:
        """Returns the stand-in of `value`, numbering it if it is new to the conversation."""
        if type_ == SECRET:
            return SECRET_PLACEHOLDER
        numbers = self._numbers.setdefault(type_, {})
        digest = self._digest(type_, value)
        if digest not in numbers:
            taken = self._reserved.get(type_, set()).union(numbers.values())
            numbers[digest] = next(n for n in range(1, len(taken) + 2) if n not in taken)
        return f"<{type_}_{numbers[digest]}>"

    def reserve(self, text: str) -> None:
        """Sets aside every number that `text` already mentions and nobody was given."""
        for match in PLACEHOLDER.finditer(text):
            type_, number = match.group(1), match.group(2)
            if type_ is None:
                continue
            if int(number) not in self._numbers.get(type_, {}).values():
                self._reserved.setdefault(type_, set()).add(int(number))

    def counts(self) -> dict[str, int]:
        """Returns how many different values of each type the conversation named."""
        return {type_: len(numbers) for type_, numbers in self._numbers.items()}

    def to_row(self) -> dict[str, Any]:
        """Returns plain data for one JSON column: digests and numbers, no values, no key."""
        return {
            "numbers": {type_: dict(numbers) for type_, numbers in self._numbers.items()},
            "reserved": {type_: sorted(taken) for type_, taken in self._reserved.items()},
        }

    @classmethod
    def from_row(
        cls, row: Mapping[str, Any], *, key: bytes, tenant: str = ""
    ) -> "PlaceholderScope":
        """Continues a conversation from what `to_row` returned.

        Raises:
            InvalidInputError: When `row` is not of that form.
        """
        scope = cls(key, tenant=tenant)
        try:
            for type_, numbers in row.get("numbers", {}).items():
                scope._numbers[type_] = {str(d): int(n) for d, n in numbers.items()}
            for type_, taken in row.get("reserved", {}).items():
                scope._reserved[type_] = {int(n) for n in taken}
        except (AttributeError, TypeError, ValueError) as exc:
            raise InvalidInputError(f"not a stored placeholder scope: {exc}") from exc
        return scope

    def _digest(self, type_: str, value: str) -> str:
        message = "\x1f".join((self._tenant, type_, normal_form(type_, value)))
        return hmac.new(
            self._key, message.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()[:_DIGEST_CHARS]


def normal_form(type_: str, value: str) -> str:
    """Returns the form under which two spellings of one value are the same value."""
    text = unicodedata.normalize("NFKC", value).strip()
    if type_ == URL:
        return text.rstrip("/")
    if type_ in {PERSON, DATE_TIME}:
        return " ".join(text.casefold().replace(",", " ").split())
    if type_ == PHONE_NUMBER:
        return "".join(ch for ch in text if ch.isdigit())
    if "@" in text:
        return text.casefold()
    return "".join(ch for ch in text.casefold() if ch.isalnum())
