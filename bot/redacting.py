"""Redaction per thread: the same person is `<PERSON_1>` all through a conversation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from feedback.domain.person import Person
from feedback.redaction.directory import Member, NameDirectory
from feedback.redaction.placeholders import PlaceholderScope
from feedback.redaction.redactor import REDACTION_VERSION, Redactor

VERSION = REDACTION_VERSION


@dataclass(frozen=True, kw_only=True)
class Redacted:
    """A text fit to be stored.

    Attributes:
        placeholders: The thread's map afterwards.
        findings: Number of findings by type.
    """

    text: str
    placeholders: Mapping[str, Any]
    findings: Mapping[str, int]


class ThreadRedactor:
    """Redacts with the names of the workspace's directory.

    Args:
        key: Keys the digests of placeholder maps.
        bot: Mentions of the bot stay.
    """

    def __init__(self, key: bytes, *, bot: str = "") -> None:
        self._key = key
        self._bot = bot
        self._redactors: dict[str, Redactor] = {}

    def learn(self, team: str, people: Iterable[Person]) -> None:
        """Takes over the names of a workspace."""
        # Bots are left out: their names are product names.
        members = [Member(id=p.user_id, names=p.names) for p in people if not p.is_bot]
        self._redactors[team] = Redactor(
            NameDirectory(members), keep_mentions=[self._bot] if self._bot else []
        )

    def redact(self, text: str, placeholders: Mapping[str, Any], *, team: str) -> Redacted:
        """Redacts one text of a thread and returns the thread's map afterwards."""
        if team not in self._redactors:
            self.learn(team, ())
        scope = PlaceholderScope.from_row(placeholders, key=self._key, tenant=team)
        redaction = self._redactors[team].redact(text, scope)
        return Redacted(
            text=redaction.text, placeholders=scope.to_row(), findings=redaction.counts()
        )
