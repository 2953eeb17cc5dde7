"""Patterns from run to run on a real PostgreSQL: ids, decisions and history survive."""

from datetime import UTC, datetime, timedelta

from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternChange,
    PatternKind,
    PatternStatus,
    Verdict,
)
from feedback.store.unit_of_work import Store

NIGHT = datetime(2026, 3, 1, 3, tzinfo=UTC)


def pattern(name: str, *members: str, status: PatternStatus = PatternStatus.OPEN) -> Pattern:
    return Pattern(
        id=name,
        kind=PatternKind.TONE,
        label=name,
        keywords=("cold",),
        size=len(members),
        users=2,
        verdict=Verdict.PROMPT,
        verdict_reasons=("cold",),
        example_ids=members[:1],
        member_ids=members,
        score=1.0,
        first_seen=0.0,
        last_seen=1.0,
        centroid=(1.0, 0.0),
        status=status,
        signals={"down_vote": len(members)},
    )


async def save(store: Store, night: int, *patterns: Pattern, **options: object) -> None:
    async with store.begin() as tx:
        previous = await tx.patterns.previous("e")
    await save_knowing(store, night, previous, *patterns, **options)


async def save_knowing(
    store: Store, night: int, previous: object, *patterns: Pattern, **options: object
) -> None:
    async with store.begin() as tx:
        await tx.patterns.save(
            MiningResult(patterns=patterns, unclustered=(), **options),  # type: ignore[arg-type]
            previous=previous,  # type: ignore[arg-type]
            failures=9,
            embedder_id="e",
            policy={},
            at=NIGHT + timedelta(days=night),
        )


async def decide(store: Store, name: str, status: PatternStatus, seen: PatternStatus) -> bool:
    async with store.begin() as tx:
        return await tx.patterns.decide(name, status, seen=seen, at=NIGHT)


async def test_what_is_stored_is_read_back(store: Store) -> None:
    given = pattern("a", "i1", "i2")
    await save(store, 0, given)
    async with store.begin() as tx:
        assert await tx.patterns.current() == [given]
        assert await tx.patterns.get("a") == given
        (known,) = await tx.patterns.previous("e")
        (elsewhere,) = await tx.patterns.previous("another embedder")
    assert (known.member_ids, known.centroid) == (("i1", "i2"), (1.0, 0.0))
    assert (known.verdict, known.current) == (Verdict.PROMPT, True)
    assert elsewhere.centroid == ()


async def test_a_decided_pattern_is_remembered_while_it_is_away(store: Store) -> None:
    await save(store, 0, pattern("a", "i1", "i2"), pattern("b", "i3"))
    assert await decide(store, "a", PatternStatus.REJECTED, PatternStatus.OPEN)
    await save(store, 1, pattern("c", "i2", "i9"))
    async with store.begin() as tx:
        known = {old.id: old for old in await tx.patterns.previous("e")}
    assert known.keys() == {"a", "c"}, "open patterns that are gone are forgotten, their ids not"
    assert (known["a"].status, known["a"].current) == (PatternStatus.REJECTED, False)
    assert known["a"].member_ids == ("i1",), "what another pattern holds is not its own"


async def test_a_decision_during_a_run_is_kept(store: Store) -> None:
    await save(store, 0, pattern("a", "i1"))
    async with store.begin() as tx:
        previous = await tx.patterns.previous("e")
    assert await decide(store, "a", PatternStatus.REJECTED, PatternStatus.OPEN)
    await save_knowing(store, 1, previous, pattern("a", "i1", "i2"))
    async with store.begin() as tx:
        (now,) = await tx.patterns.current()
    assert (now.status, now.size) == (PatternStatus.REJECTED, 2)


async def test_only_what_a_person_saw_is_decided(store: Store) -> None:
    await save(store, 0, pattern("a", "i1"))
    assert await decide(store, "a", PatternStatus.ACCEPTED, PatternStatus.OPEN)
    assert not await decide(store, "a", PatternStatus.REJECTED, PatternStatus.OPEN)
    assert not await decide(store, "nothing", PatternStatus.REJECTED, PatternStatus.OPEN)


async def test_the_moment_of_the_fix_stays_when_it_comes_back(store: Store) -> None:
    await save(store, 0, pattern("a", "i1"))
    await save(store, 1, pattern("a", "i1", status=PatternStatus.RESOLVED))
    await save(store, 2, pattern("a", "i1", "i2", status=PatternStatus.REGRESSION))
    async with store.begin() as tx:
        (now,) = await tx.patterns.current()
    assert now.status is PatternStatus.REGRESSION
    assert now.resolved_at == NIGHT + timedelta(days=1)


async def test_merges_and_splits_are_told_on_both_sides(store: Store) -> None:
    await save(store, 0, pattern("a", "i1"), changes=(PatternChange(pattern_id="a", change="new"),))
    changes = (
        PatternChange(pattern_id="a", change="kept"),
        PatternChange(pattern_id="b", change="split", other_id="a"),
    )
    await save(store, 1, pattern("a", "i1"), pattern("b", "i2"), changes=changes)
    async with store.begin() as tx:
        told = [(event.pattern_id, event.change) for event in await tx.patterns.history("a")]
        other = await tx.patterns.history("b")
    assert told == [("a", "new"), ("b", "split")]
    assert [event.at for event in other] == [NIGHT + timedelta(days=1)]
