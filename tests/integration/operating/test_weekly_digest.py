"""Mining by the week on a real PostgreSQL: a missing document is found, written, told as fixed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from feedback.clock import FixedClock
from feedback.digest import read_digest
from feedback.domain.handoff import Handoff, HandoffReason
from feedback.domain.interaction import Interaction, InteractionState
from feedback.domain.knowledge import Document
from feedback.domain.operating import Act
from feedback.domain.pattern import Pattern, PatternDecision, PatternStatus, Verdict
from feedback.domain.tone import ToneRate, ToneWeek
from feedback.errors import ConflictError
from feedback.knowledge.sync import KnowledgeSync
from feedback.mining.patterns import MiningPolicy
from feedback.operations import decide_pattern
from feedback.store.conversations import Thread
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.unit_of_work import Store
from feedback.testing import HashingEmbedder
from feedback.tone import StyleGuide
from feedback.tone.scorer import ToneModel, learn
from retrain.cycle.mining import PatternMiner
from retrain.scheduling.digest import WeeklyDigest
from retrain.scheduling.schedule import CycleSchedule

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
MONDAY = datetime(2026, 3, 9, 8, tzinfo=UTC)
QUESTIONS = [
    "How many days are archive exports kept?",
    "Are archive exports kept for days?",
    "Days archive exports are kept?",
    "How many days do you keep archive exports?",
    "Archive exports: kept how many days?",
    "For how many days are the archive exports kept?",
]
PAGE = Document(
    doc_id="exports",
    title="Archive exports",
    text="# Archive exports\n\nArchive exports are kept for 45 days. Then exports are gone.",
)
OTHER = Document(doc_id="other", title="Tea", text="# Tea\n\nTea is served in the harbour office.")


class Week:
    """A scheduler's Mondays around a record."""

    def __init__(self, store: Store, scorer: ToneModel | None = None) -> None:
        self.store = store
        self.clock = FixedClock(START)
        self.embedder = HashingEmbedder()
        guide = StyleGuide([])
        miner = PatternMiner(store, self.clock, self.embedder, guide, MiningPolicy(), scorer)
        self.digest = WeeklyDigest(
            store, self.clock, CycleSchedule("0 8 * * mon"), miner, channel="C0OPERATE5"
        )

    async def ask_all(self) -> None:
        """Six people ask what no document holds; the bot says so, and nobody votes."""
        for number, question in enumerate(QUESTIONS):
            ts = f"{number}.0"
            async with self.store.begin() as tx:
                await tx.conversations.open_thread(
                    Thread(
                        key=f"T:C:{ts}", team="T", channel="C", thread_ts=ts,
                        started_by=f"U{number}", started_at=START, placeholders={},
                    )
                )  # fmt: skip
                await tx.conversations.create_pending(
                    Interaction(
                        id=f"i-{number}", thread_key=f"T:C:{ts}", team="T", channel="C",
                        question_ts=ts, asker=f"U{number}", question=question, abstained=True,
                        asked_at=START + timedelta(hours=number),
                        state=InteractionState.POSTED, answer="I do not know that.",
                    )
                )  # fmt: skip

    async def hand_off(self, name: str) -> None:
        """Calls a colleague about one answer."""
        async with self.store.begin() as tx:
            asked = await tx.conversations.get(name, team="T")
            assert asked is not None
            opened = await tx.handoffs.open(
                Handoff(
                    id=f"h-{name}", interaction_id=name, team="T", channel="C",
                    thread_key=asked.thread_key, asker=asked.asker,
                    reason=HandoffReason.ABSTAINED, opened_at=START,
                )
            )  # fmt: skip
        assert opened is not None

    async def write(self, *documents: Document) -> None:
        async with self.store.begin() as tx:
            sync = KnowledgeSync(SqlKnowledgeRepository(tx.connection), self.embedder)
            await sync.sync(list(documents))

    async def tick(self, now: datetime) -> bool:
        self.clock.advance(now - self.clock.now())
        return await self.digest.tick()

    async def pattern(self) -> Pattern:
        async with self.store.begin() as tx:
            (found,) = await tx.patterns.current()
        return found

    async def owed(self) -> list[str]:
        async with self.store.begin() as tx:
            rows = await tx.connection.execute(
                text("select payload->>'at' from outbox where kind = 'pattern_digest' order by id")
            )
            return list(rows.scalars())


async def test_a_missing_document_is_found_written_and_told_as_fixed(store: Store) -> None:
    week = Week(store)
    await week.ask_all()
    await week.hand_off("i-0")
    await week.write(OTHER)
    assert not await week.tick(START), "the first week begins"
    assert not await week.tick(MONDAY - timedelta(minutes=1))
    assert await week.tick(MONDAY)
    assert not await week.tick(MONDAY + timedelta(hours=1)), "once a week"
    assert await week.owed() == [MONDAY.isoformat()]

    found = await week.pattern()
    assert (found.verdict, found.status) == (Verdict.DOCUMENT, PatternStatus.OPEN)
    assert found.signals == {"abstained": 6, "hand_off": 1}
    assert "archive" in found.draft.lower()
    async with store.begin() as tx:
        act = Act(by="U9", reason="", at=MONDAY)
        await decide_pattern(tx, act, found.id, PatternDecision.ACCEPT)
        with pytest.raises(ConflictError):
            await decide_pattern(tx, act, found.id, PatternDecision.REJECT, seen=found.status)
    await week.write(OTHER, PAGE)

    # A scheduler that was away for weeks tells once.
    later = MONDAY + timedelta(days=15)
    assert await week.tick(later)
    assert await week.owed() == [MONDAY.isoformat(), later.isoformat()]
    mended = await week.pattern()
    assert (mended.id, mended.status) == (found.id, PatternStatus.RESOLVED)
    assert mended.resolved_at == later
    async with store.begin() as tx:
        (fix,) = (await read_digest(tx, later + timedelta(days=7))).fixes
    assert (fix.before, fix.since) == (6 / ((later - START) / timedelta(days=7)), 0.0)


@pytest.mark.parametrize(("space", "cold"), [(HashingEmbedder().id, 6), ("another space", 0)])
async def test_a_learnt_scorer_judges_in_its_own_space(store: Store, space: str, cold: int) -> None:
    said = [f"I do not know {n}." if n % 2 else f"Happy to help with {n}!" for n in range(60)]
    vectors = await HashingEmbedder().embed(said)
    scorer = learn(said, vectors, [float(n % 2 == 0) for n in range(60)], embedder_id=space)
    week = Week(store, scorer)
    await week.ask_all()
    await week.tick(START)
    await week.tick(MONDAY)
    assert (await week.pattern()).signals.get("off_brand", 0) == cold


async def test_a_text_is_embedded_once_and_again_for_another_embedder(store: Store) -> None:
    week = Week(store)
    await week.ask_all()
    await week.tick(START)
    await week.tick(MONDAY)
    assert week.embedder.embedded == len(QUESTIONS)
    await week.tick(MONDAY + timedelta(days=7))
    assert week.embedder.embedded == len(QUESTIONS), "nothing was asked since"
    async with store.begin() as tx:
        await tx.conversations.resync_question("i-0", "Where is the archive?", edited_ts="9.0")
    await week.tick(MONDAY + timedelta(days=14))
    assert week.embedder.embedded == len(QUESTIONS) + 1

    other = OtherSpace()
    miner = PatternMiner(store, week.clock, other, None, MiningPolicy())
    await miner.run()
    await miner.run()
    assert other.embedded == len(QUESTIONS), "all of them once"


class OtherSpace(HashingEmbedder):
    """Embeds into a space of another name."""

    @property
    def id(self) -> str:
        return "other/1"


async def test_the_digest_tells_how_much_is_in_the_house_voice(store: Store) -> None:
    week = Week(store)
    await week.ask_all()
    await week.tick(START)
    async with store.begin() as tx:
        assert (await read_digest(tx, START)).tone is None
    await week.tick(MONDAY)
    async with store.begin() as tx:
        told = (await read_digest(tx, MONDAY)).tone
    assert told == ToneWeek(lately=ToneRate(answers=6, rate=1.0))
