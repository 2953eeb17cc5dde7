"""Transcripts from elsewhere become interactions and candidates that wait for a reviewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.correction import CorrectionSource, CorrectionState
from feedback.domain.interaction import InteractionRecord
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import correction_versions, corrections

IMPORT_TEAM = "import"
"""Stands for the workspace of everything that did not come through Slack's events."""
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class ImportCounts:
    """What an import added; rows known already are left as they are."""

    interactions: int
    candidates: int
    known: int


class SqlImports:
    """Stores imported interactions; importing the same file again adds nothing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self,
        records: Sequence[InteractionRecord],
        placeholders: Mapping[str, Mapping[str, Any]],
        *,
        redaction_version: str,
        at: datetime,
    ) -> ImportCounts:
        """Stores redacted records; a better answer waits as a proposed correction.

        Args:
            records: Redacted interactions.
            placeholders: Placeholder maps of their threads, by thread id.
            redaction_version: Of the redactor they went through.
            at: Time of the import.
        """
        added = candidates = 0
        for start in range(0, len(records), _BATCH):
            batch = records[start : start + _BATCH]
            await self._threads(batch, placeholders)
            new = await self._interactions(batch)
            added += len(new)
            better = [r for r in batch if _id(r) in new and r.correction and r.failed]
            candidates += len(better)
            await self._candidates(better, redaction_version, at)
        return ImportCounts(interactions=added, candidates=candidates, known=len(records) - added)

    async def _threads(
        self, batch: Sequence[InteractionRecord], placeholders: Mapping[str, Mapping[str, Any]]
    ) -> None:
        rows = {
            _thread_key(record): {
                "key": _thread_key(record),
                "team": IMPORT_TEAM,
                "channel": IMPORT_TEAM,
                "thread_ts": record.thread_id,
                "started_by": record.user_id,
                "started_at": _moment(record),
                "placeholders": dict(placeholders.get(record.thread_id, {})),
            }
            for record in batch
        }
        await self._connection.execute(
            insert(threads).on_conflict_do_nothing(), list(rows.values())
        )

    async def _interactions(self, batch: Sequence[InteractionRecord]) -> set[str]:
        rows = [
            {
                "id": _id(record),
                "thread_key": _thread_key(record),
                "team": IMPORT_TEAM,
                "channel": IMPORT_TEAM,
                "question_ts": record.id,
                "asker": record.user_id,
                "asked_at": _moment(record),
                "question": record.question,
                "state": "answered",
                "answer": record.answer,
                "retrieved": [],
            }
            for record in batch
        ]
        statement = insert(interactions).on_conflict_do_nothing().returning(interactions.c.id)
        return set(await self._connection.scalars(statement, rows))

    async def _candidates(
        self, batch: Sequence[InteractionRecord], redaction_version: str, at: datetime
    ) -> None:
        if not batch:
            return
        rows = [
            {
                "id": f"c-{_id(record)}",
                "interaction_id": _id(record),
                "thread_key": _thread_key(record),
                "team": IMPORT_TEAM,
                "question": record.question,
                "bot_answer": record.answer,
                "passages": [],
                "author": str(record.extra.get("reviewer_id") or record.user_id),
                "source": CorrectionSource.IMPORT,
                # Nobody asked these people: such text trains only in the mode `all`.
                "consent": "none",
                "state": CorrectionState.PROPOSED,
                "reasons": [reason.value for reason in record.reasons],
                "created_at": at,
            }
            for record in batch
        ]
        await self._connection.execute(insert(corrections).on_conflict_do_nothing(), rows)
        versions = [
            {
                "correction_id": row["id"],
                "version": 1,
                "text": record.correction,
                "editor": row["author"],
                "redaction_version": redaction_version,
                "created_at": at,
            }
            for row, record in zip(rows, batch, strict=True)
        ]
        await self._connection.execute(
            insert(correction_versions).on_conflict_do_nothing(), versions
        )


def _id(record: InteractionRecord) -> str:
    return f"import-{record.id}"


def _thread_key(record: InteractionRecord) -> str:
    return f"{IMPORT_TEAM}:{IMPORT_TEAM}:{record.thread_id}"


def _moment(record: InteractionRecord) -> datetime:
    return datetime.fromtimestamp(record.ts, UTC)
