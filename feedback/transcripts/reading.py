"""One way in for every kind of transcript; nothing leaves it that the redactor has not seen."""

import hashlib
import hmac
import itertools
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from feedback.domain.interaction import InteractionRecord
from feedback.jsonl import Row, open_jsonl
from feedback.redaction import NameDirectory, PlaceholderScope, Redactor
from feedback.transcripts.fields import to_record
from feedback.transcripts.slack_export import SlackExport

_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class TranscriptImport:
    """What a file of transcripts held.

    Attributes:
        records: Redacted interactions in the file's order.
        placeholders: Placeholder maps (`PlaceholderScope.to_row`) of the threads with a finding.
        findings: Redacted spans by type.
        counts: What was read, by kind.
        problems: `(where, what is wrong)` of everything that was left out.
    """

    records: tuple[InteractionRecord, ...]
    placeholders: Mapping[str, Mapping[str, Any]]
    findings: Mapping[str, int]
    counts: Mapping[str, int]
    problems: tuple[tuple[str, str], ...]


def read_transcripts(
    path: Path, redactor: Redactor, *, key: bytes | None = None
) -> TranscriptImport:
    """Reads a JSONL file of interactions or the zip of a Slack export.

    Args:
        path: `.zip` is a Slack export, anything else JSONL; `-` is standard input.
        redactor: Sees every text before it leaves; of an export it also learns the users' names.
        key: Keys the placeholders' digests; without one the digests end with this call.

    Raises:
        InvalidInputError: When the file cannot be used at all.
    """
    key = key or secrets.token_bytes(_KEY_BYTES)
    if path.suffix.casefold() == ".zip":
        return _read_export(path, redactor, key)
    return _read_rows(path, redactor, key)


def _read_rows(path: Path, redactor: Redactor, key: bytes) -> TranscriptImport:
    source = open_jsonl(str(path))
    numbers = itertools.count(1)
    seen: set[str] = set()
    duplicates = 0

    def parse(row: Row) -> InteractionRecord:
        return to_record(row, number=next(numbers))

    protector = _Protector(redactor, key)
    records = []
    for record in source.rows(parse):
        if record.id in seen:
            duplicates += 1
            continue
        seen.add(record.id)
        records.append(protector.protect(record))
    source.require_rows()
    problems = [(f"{source.name}:{number}", text) for number, text in source.problems]
    return protector.result(
        records,
        counts={"rows": source.read + len(problems), "duplicates": duplicates},
        problems=problems,
    )


def _read_export(path: Path, redactor: Redactor, key: bytes) -> TranscriptImport:
    export = SlackExport.open(path)
    protector = _Protector(redactor.knowing(NameDirectory.from_slack(export.users)), key)
    records = [protector.protect(record) for record in export.interactions()]
    counts = {"users": len(export.users), "channels": len(export.channels), **export.counts}
    return protector.result(records, counts=counts, problems=export.problems)


@dataclass(kw_only=True)
class _Seen:
    scope: PlaceholderScope
    redacted: bool = False


@dataclass
class _Protector:
    """Redacts records, one placeholder scope a thread."""

    redactor: Redactor
    key: bytes
    threads: dict[str, _Seen] = field(default_factory=dict)
    findings: Counter[str] = field(default_factory=Counter)

    def protect(self, record: InteractionRecord) -> InteractionRecord:
        """Returns the record with every text redacted and ids that name somebody replaced."""
        thread = self._opaque(record.thread_id)
        seen = self.threads.setdefault(thread, _Seen(scope=PlaceholderScope(self.key)))
        return replace(
            record,
            id=self._opaque(record.id),
            thread_id=thread,
            user_id=self._opaque(record.user_id),
            question=self._text(record.question, seen),
            answer=self._text(record.answer, seen),
            correction=None if record.correction is None else self._text(record.correction, seen),
            extra={name: self._value(value, seen) for name, value in record.extra.items()},
        )

    def result(
        self,
        records: Iterable[InteractionRecord],
        *,
        counts: Mapping[str, int],
        problems: Iterable[tuple[str, str]],
    ) -> TranscriptImport:
        """Returns the import with the counts that every kind of file has."""
        records, problems = tuple(records), tuple(problems)
        return TranscriptImport(
            records=records,
            placeholders={
                thread: seen.scope.to_row()
                for thread, seen in self.threads.items()
                if seen.redacted
            },
            findings=dict(sorted(self.findings.items())),
            counts={
                **counts,
                "records": len(records),
                "conversations": len({record.thread_id for record in records}),
                "people": len({record.user_id for record in records}),
                "answers": sum(bool(record.answer.strip()) for record in records),
                "corrections": sum(record.correction is not None for record in records),
                "rated": sum(record.rating is not None for record in records),
                "bad": len(problems),
            },
            problems=problems,
        )

    def _text(self, text: str, seen: _Seen) -> str:
        redaction = self.redactor.redact(text, seen.scope)
        if redaction.spans:
            seen.redacted = True
            self.findings.update(redaction.counts())
        return redaction.text

    def _value(self, value: object, seen: _Seen) -> object:
        if isinstance(value, str):
            return self._text(value, seen)
        if isinstance(value, Mapping):
            return {str(name): self._value(inner, seen) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(inner, seen) for inner in value]
        return value

    def _opaque(self, id_: str) -> str:
        """Returns `id_`, or a keyed pseudonym when it names somebody (an e-mail address)."""
        if not self.redactor.find(id_):
            return id_
        digest = hmac.new(
            self.key, f"id\x1f{id_}".encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()
        return f"id-{digest[:16]}"
