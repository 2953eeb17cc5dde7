"""Imported transcripts become interactions and candidates; importing twice adds nothing."""

from datetime import UTC, datetime

from sqlalchemy import text

from feedback.domain.correction import QueueReason
from feedback.domain.interaction import InteractionRecord
from feedback.store.imports import ImportCounts
from feedback.store.unit_of_work import Store
from tests.integration.store.test_patterns import pattern, save

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def _records() -> list[InteractionRecord]:
    return [
        InteractionRecord(
            id=str(number),
            thread_id=f"t{number // 2}",
            user_id="ana",
            ts=1_700_000_000.0 + number,
            question=f"Question {number}?",
            answer="draft",
            correction="draft" if number == 0 else f"better {number}",
        )
        for number in range(5)
    ]


async def test_import_twice(store: Store) -> None:
    for expected in (
        ImportCounts(interactions=5, candidates=4, known=0),
        ImportCounts(interactions=0, candidates=0, known=5),
    ):
        async with store.begin() as tx:
            counts = await tx.imports.add(_records(), {}, redaction_version="1", at=NOW)
        assert counts == expected


async def test_imported_text_trains_only_when_reviewed_and_allowed(store: Store) -> None:
    async with store.begin() as tx:
        await tx.imports.add(_records(), {}, redaction_version="1", at=NOW)
        assert await tx.records.trainable("all") == []
        await tx.connection.execute(text("update corrections set state = 'approved'"))
    async with store.begin() as tx:
        assert await tx.records.trainable("reviewer_authored") == []
        rows = await tx.records.trainable("all")
        rated = await tx.records.rated()
    assert sorted(row.correction or "" for row in rows) == [f"better {n}" for n in range(1, 5)]
    assert [record.failed for record in rated] == [False, True, True, True, True]


async def test_a_label_says_what_parts_of_the_whole_it_belongs_to(store: Store) -> None:
    async with store.begin() as tx:
        await tx.imports.add(_records()[:3], {}, redaction_version="1", at=NOW)
        await tx.connection.execute(text("update corrections set state = 'approved'"))
        rows = await tx.connection.scalars(text("select interaction_id from corrections"))
        direct, shared = sorted(rows)
        for interaction, thread, tags in (
            (direct, "T1:D7:1.2", []),
            (shared, "T1:C7:1.2", ["billing", "late"]),
        ):
            await tx.connection.execute(
                text("update corrections set thread_key = :thread, tags = :tags "
                     "where interaction_id = :interaction"),
                {"thread": thread, "tags": tags, "interaction": interaction},
            )  # fmt: skip
    await save(store, 0, pattern("refunds", shared))
    async with store.begin() as tx:
        found = {
            r.extra["interaction_id"]: r.extra["slices"] for r in await tx.records.trainable("all")
        }
    assert found == {
        direct: {"channel": "direct messages", "pattern": [], "tag": []},
        shared: {"channel": "C7", "pattern": ["refunds"], "tag": ["billing", "late"]},
    }


async def test_a_team_adopts_candidates_once_and_may_vouch_for_them(store: Store) -> None:
    async with store.begin() as tx:
        await tx.imports.add(_records(), {}, redaction_version="1", at=NOW)
        assert await tx.reviewing.imported() == 4
        first = await tx.reviewing.adopt("T0A", limit=3)
        rest = await tx.reviewing.adopt("T0B", limit=9, consent="reviewer_authored")
        assert await tx.reviewing.imported() == 0
        assert await tx.reviewing.adopt("T0A", limit=9) == []
        assert len(await tx.corrections.queue("T0A")) == 3
    assert [c.text for c in (*first, *rest)] == [f"better {n}" for n in range(1, 5)]
    assert [(c.team, c.consent) for c in (first[0], rest[0])] == [
        ("T0A", "none"), ("T0B", "reviewer_authored"),
    ]  # fmt: skip
    assert first[0].queued_for == (QueueReason.IMPORTED,)
