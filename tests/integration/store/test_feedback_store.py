"""Conversations, votes, corrections, people and the outbox on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback.domain.correction import (
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    Review,
)
from feedback.domain.interaction import (
    Arm,
    Interaction,
    InteractionState,
    Rating,
    Reason,
    Retrieved,
)
from feedback.domain.person import Person, Role
from feedback.domain.vote import VoteEvent, VoteSource
from feedback.errors import ConflictError, NotAllowedError, NotFoundError
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
THREAD = Thread(
    key="T:C:1.0", team="T", channel="C", thread_ts="1.0", started_by="U1", started_at=NOW,
    placeholders={},
)  # fmt: skip
PENDING = Interaction(
    id="i-1", thread_key="T:C:1.0", team="T", channel="C", question_ts="1.0", asker="U1",
    asked_at=NOW, question="How?",
)  # fmt: skip
PROPOSED = Correction(
    id="c-1", interaction_id="i-1", thread_key="T:C:1.0", team="T", question="How?",
    bot_answer="So.", text="Like this.", author="U1", source=CorrectionSource.MODAL,
    consent="reviewer_authored", created_at=NOW, redaction_version="1",
    reasons=(Reason.OUTDATED,), passages=("A passage.",),
)  # fmt: skip


async def put_question(store: Store) -> Interaction:
    async with store.begin() as tx:
        await tx.conversations.open_thread(THREAD)
        return await tx.conversations.create_pending(PENDING)


async def put_correction(store: Store) -> Correction:
    async with store.begin() as tx:
        await tx.corrections.add(PROPOSED)
        await tx.corrections.propose("c-1", team="T", author="U1")
        return await tx.corrections.get("c-1", team="T")


async def test_a_question_is_stored_once_whoever_asks_again(store: Store) -> None:
    first = await put_question(store)
    async with store.begin() as tx:
        again = await tx.conversations.create_pending(replace(PENDING, id="i-2"))
    assert again == first


async def test_a_thread_keeps_its_start_and_its_placeholders(store: Store) -> None:
    await put_question(store)
    async with store.begin() as tx:
        await tx.conversations.save_placeholders(THREAD.key, {"numbers": {"PERSON": {"ab": 1}}})
    async with store.begin() as tx:
        later = replace(THREAD, started_at=NOW + timedelta(days=1))
        kept = await tx.conversations.open_thread(later)
    assert kept.started_at == NOW
    assert kept.placeholders == {"numbers": {"PERSON": {"ab": 1}}}


async def test_everything_of_an_answer_is_read_back(store: Store) -> None:
    pending = await put_question(store)
    answered = replace(
        pending, state=InteractionState.ANSWERED, answer="So.", answered_at=NOW,
        prompt_version="1", retrieved=(Retrieved(doc_id="d", score=0.5, chunk_id="d1"),),
        with_context=True, base_model="b", adapter_id="a", adapter_sha256="s", template_sha256="t",
        experiment_id="e", arm=Arm.CHALLENGER, share=0.2, salt="x", grounded=True, on_brand=0.9,
        latency_ms=12.5, prompt_tokens=7, completion_tokens=3,
    )  # fmt: skip
    async with store.begin() as tx:
        assert await tx.conversations.save(answered)
        await tx.conversations.mark_posted("i-1", "1.1", NOW)
        assert await tx.conversations.by_answer("T", "C", "1.1") == replace(
            answered, state=InteractionState.POSTED, answer_ts="1.1"
        )
        assert await tx.conversations.get("i-1", team="ANOTHER") is None


async def test_erasing_a_question_withdraws_what_was_made_of_it(store: Store) -> None:
    await put_question(store)
    await put_correction(store)
    async with store.begin() as tx:
        assert await tx.conversations.erase_question("T", "C", "1.0")
        assert not await tx.conversations.erase_question("T", "C", "9.9")
        gone = await tx.conversations.get("i-1", team="T")
        withdrawn = await tx.corrections.get("c-1", team="T")
        assert not await tx.conversations.save(replace(PENDING, answer="late"))
    assert gone is not None
    assert (gone.state, gone.question) == (InteractionState.ERASED, "")
    assert (withdrawn.state, withdrawn.question) == (CorrectionState.WITHDRAWN, "")


def vote(event: str, rating: Rating, ts: float) -> VoteEvent:
    return VoteEvent(
        event_id=event, interaction_id="i-1", user_id="U2", rating=rating,
        source=VoteSource.BUTTON, event_ts=ts,
    )  # fmt: skip


async def test_a_late_older_click_does_not_win(store: Store) -> None:
    async with store.begin() as tx:
        await tx.votes.record(vote("new", Rating.UP, 2.0), at=NOW)
        await tx.votes.record(vote("old", Rating.DOWN, 1.0), at=NOW)
        assert await tx.votes.record(vote("old", Rating.DOWN, 1.0), at=NOW) is None
        (current,) = await tx.votes.of_interaction("i-1")
    assert (current.rating, current.event_ts) == (Rating.UP, 2.0)


async def test_concurrent_clicks_of_one_person_end_with_the_last(store: Store) -> None:
    async def click(number: int) -> None:
        async with store.begin() as tx:
            rating = Rating.UP if number % 2 else Rating.DOWN
            await tx.votes.record(vote(f"e{number}", rating, float(number)), at=NOW)

    await asyncio.gather(*(click(number) for number in range(12)))
    async with store.begin() as tx:
        (current,) = await tx.votes.of_interaction("i-1")
    assert (current.rating, current.event_ts) == (Rating.UP, 11.0)


async def test_a_draft_counts_only_after_its_author_confirms(store: Store) -> None:
    async with store.begin() as tx:
        await tx.corrections.add(PROPOSED)
        assert await tx.corrections.queue("T") == []
        assert not await tx.corrections.propose("c-1", team="T", author="U9")
        assert await tx.corrections.propose("c-1", team="T", author="U1")
        assert not await tx.corrections.propose("c-1", team="T", author="U1")
        (waiting,) = await tx.corrections.queue("T")
    assert waiting == replace(PROPOSED, state=CorrectionState.PROPOSED, row_version=2)


async def test_only_the_first_of_many_claims_wins(store: Store) -> None:
    waiting = await put_correction(store)
    results: list[str] = []

    async def claim(reviewer: str) -> None:
        try:
            async with store.begin() as tx:
                await tx.corrections.claim(
                    "c-1", team="T", reviewer=reviewer, row_version=waiting.row_version, at=NOW
                )
            results.append(reviewer)
        except ConflictError:
            pass

    await asyncio.gather(*(claim(f"R{number}") for number in range(6)))
    async with store.begin() as tx:
        claimed = await tx.corrections.get("c-1", team="T")
    assert results == [claimed.claimed_by]


def review(reviewer: str, decision: Decision = Decision.APPROVE) -> Review:
    return Review(
        correction_id="c-1", version=1, reviewer=reviewer, decision=decision, note="",
        created_at=NOW,
    )  # fmt: skip


async def test_who_may_decide(store: Store) -> None:
    waiting = await put_correction(store)

    async def decide(reviewer: str, version: int) -> Correction:
        async with store.begin() as tx:
            return await tx.corrections.decide(
                Decision.APPROVE, "c-1", team="T", review=review(reviewer), row_version=version
            )

    with pytest.raises(NotAllowedError):
        await decide("U1", waiting.row_version)
    with pytest.raises(ConflictError):
        await decide("R1", waiting.row_version - 1)
    async with store.begin() as tx:
        claimed = await tx.corrections.claim(
            "c-1", team="T", reviewer="R1", row_version=waiting.row_version, at=NOW
        )
    with pytest.raises(ConflictError):
        await decide("R2", claimed.row_version)
    approved = await decide("R1", claimed.row_version)
    assert (approved.state, approved.decided_at) == (CorrectionState.APPROVED, NOW)
    with pytest.raises(ConflictError):
        await decide("R1", approved.row_version)
    async with store.begin() as tx:
        assert [r.reviewer for r in await tx.corrections.reviews("c-1")] == ["R1"]
        with pytest.raises(NotFoundError):
            await tx.corrections.get("c-1", team="ANOTHER")


async def test_escalation_frees_the_claim_and_cannot_be_repeated(store: Store) -> None:
    waiting = await put_correction(store)
    async with store.begin() as tx:
        up = await tx.corrections.decide(
            Decision.ESCALATE, "c-1", team="T", row_version=waiting.row_version,
            review=review("R1", Decision.ESCALATE),
        )  # fmt: skip
    assert (up.state, up.claimed_by, up.decided_at) == (CorrectionState.ESCALATED, None, None)
    with pytest.raises(ConflictError):
        async with store.begin() as tx:
            await tx.corrections.decide(
                Decision.ESCALATE, "c-1", team="T", row_version=up.row_version,
                review=review("R1", Decision.ESCALATE),
            )  # fmt: skip


async def test_tone_tags_are_what_people_said_of_the_tone(store: Store) -> None:
    asked = await put_question(store)
    await put_correction(store)
    async with store.begin() as tx:
        await tx.conversations.save(
            replace(asked, answer="So.", state=InteractionState.POSTED, answered_at=NOW)
        )
        assert await tx.records.tone_tags() == []
        cold = VoteEvent(
            event_id="v1", interaction_id="i-1", user_id="U2", rating=Rating.DOWN,
            source=VoteSource.BUTTON, event_ts=1.0, reasons=(Reason.TOO_COLD,),
        )  # fmt: skip
        await tx.votes.record(cold, at=NOW)
        assert await tx.records.tone_tags() == [("So.", 0.0)]
        proposed = await tx.corrections.get("c-1", team="T")
        await tx.corrections.decide(
            Decision.APPROVE, "c-1", team="T", row_version=proposed.row_version,
            review=review("R1", Decision.APPROVE),
        )  # fmt: skip
        assert await tx.records.tone_tags() == [("Like this.", 1.0), ("So.", 0.0)]


async def test_a_role_follows_the_directory_unless_it_was_set_by_hand(store: Store) -> None:
    def someone(role: Role) -> Person:
        return Person(team="T", user_id="U1", names=("Ann Lee",), role=role)

    async with store.begin() as tx:
        await tx.people.sync([someone(Role.REVIEWER)], at=NOW)
        assert (await tx.people.get("T", "U1")).role is Role.REVIEWER
        await tx.people.sync([someone(Role.AGENT)], at=NOW, with_roles=False)
        assert (await tx.people.get("T", "U1")).role is Role.REVIEWER
        await tx.people.sync([someone(Role.AGENT)], at=NOW)
        assert (await tx.people.get("T", "U1")).role is Role.AGENT
        await tx.people.set_role("T", "U1", Role.ADMIN, at=NOW)
        await tx.people.sync([someone(Role.AGENT)], at=NOW)
        known = await tx.people.get("T", "U1")
        assert (known.role, known.by_hand, known.names) == (Role.ADMIN, True, ("Ann Lee",))
        await tx.people.follow_directory("T", "U1", at=NOW)
        await tx.people.sync([someone(Role.AGENT)], at=NOW)
        assert (await tx.people.get("T", "U1")).role is Role.AGENT
        assert (await tx.people.get("T", "U9")).role is Role.AGENT
        with pytest.raises(NotFoundError):
            await tx.people.set_role("T", "U9", Role.ADMIN, at=NOW)


async def test_an_effect_is_owed_once_and_comes_back_until_done(store: Store) -> None:
    async with store.begin() as tx:
        assert await tx.outbox.add("k", "slack_message", {"text": "hi"})
        assert not await tx.outbox.add("k", "slack_message", {"text": "again"})
        assert await tx.outbox.add("other", "elsewhere", {})
        (first,) = await tx.outbox.claim(["slack_message"], lease_s=-1)
        (again,) = await tx.outbox.claim(["slack_message"], lease_s=60)
        assert (first.attempts, again.attempts, again.payload) == (1, 2, {"text": "hi"})
        assert await tx.outbox.claim(["slack_message"], lease_s=60) == []
        await tx.outbox.retry(again.id, error="down", delay_s=-1)
        (third,) = await tx.outbox.claim(["slack_message"], lease_s=-1)
        await tx.outbox.done(third.id)
        assert await tx.outbox.claim(["slack_message"], lease_s=-1) == []


async def test_effects_about_the_same_thing_know_their_order(store: Store) -> None:
    async with store.begin() as tx:
        for key in ("card:c-1:2", "card:c-1:3", "card:c-10:3", "card:c-2:9"):
            await tx.outbox.add(key, "review_card", {})
        rows = await tx.outbox.claim(["review_card"], lease_s=60)
        assert [row.key for row in rows if await tx.outbox.behind(row)] == ["card:c-1:3"]
        await tx.outbox.done(rows[0].id)
        assert not await tx.outbox.behind(rows[1])
