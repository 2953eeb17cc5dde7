"""Thumbs by button and by reaction: what counts is each person's last word."""

import asyncio

import pytest
from sqlalchemy import text

from feedback.domain.interaction import Rating, Reason
from tests.integration.bot.conftest import AMIRA, BEN, BOT, GRACE, SUPPORT, Workplace
from tests.waiting import until

THUMBS = "answer_feedback"


async def opinions(place: Workplace, answer: object) -> dict[str, Rating | None]:
    return {vote.user_id: vote.rating for vote in await place.votes(answer)}  # type: ignore[arg-type]


async def test_the_last_click_of_each_person_wins(workplace: Workplace) -> None:
    answer = await workplace.ask()
    click = workplace.people.click
    for value in ("positive", "negative", "positive"):
        await click(user=BEN, message=answer, action_id="answer_feedback", value=value)
    await click(user=GRACE, message=answer, action_id="answer_feedback", value="negative")

    async def counted() -> bool:
        return await opinions(workplace, answer) == {BEN: Rating.UP, GRACE: Rating.DOWN}

    await until(counted)
    async with workplace.store.begin() as tx:
        acts = await tx.connection.exec_driver_sql("select count(*) from vote_events")
        assert acts.scalar_one() == 4, "the history keeps every act"


async def test_an_up_vote_is_thanked_in_private(workplace: Workplace) -> None:
    answer = await workplace.ask()
    await workplace.people.click(
        user=BEN, message=answer, action_id="answer_feedback", value="positive"
    )
    note = await workplace.people.wait_for_ephemeral(
        user=BEN, channel=answer.channel, thread_ts=answer.thread_ts
    )
    assert "Thank you" in note.text
    (shown,) = await workplace.answers(str(answer.thread_ts))
    assert shown.raw["blocks"] == answer.raw["blocks"], "the shared answer is never rewritten"


async def test_reactions_count_and_can_be_taken_back(workplace: Workplace) -> None:
    answer = await workplace.ask()
    react = workplace.people.react
    await react(user=AMIRA, message=answer, name="+1::skin-tone-3")
    await react(user=BEN, message=answer, name="thumbsdown")
    await react(user=GRACE, message=answer, name="eyes")
    await workplace.settle()
    assert await opinions(workplace, answer) == {AMIRA: Rating.UP, BEN: Rating.DOWN}
    await react(user=BEN, message=answer, name="thumbsdown", present=False)
    await workplace.settle()
    assert await opinions(workplace, answer) == {AMIRA: Rating.UP, BEN: None}


async def test_contradictory_reactions_count_as_none(workplace: Workplace) -> None:
    answer = await workplace.ask()
    await workplace.people.react(user=BEN, message=answer, name="+1")
    await workplace.people.react(user=BEN, message=answer, name="-1")
    await workplace.settle()
    assert await opinions(workplace, answer) == {BEN: None}


async def test_a_forged_answer_id_is_refused(workplace: Workplace) -> None:
    answer = await workplace.ask()
    async with workplace.store.begin() as tx:
        await tx.connection.exec_driver_sql("update interactions set team = 'T0ANOTHER'")
    await workplace.people.click(
        user=BEN, message=answer, action_id="answer_feedback", value="positive"
    )
    note = await workplace.people.wait_for_ephemeral(
        user=BEN, channel=answer.channel, thread_ts=answer.thread_ts
    )
    assert "cannot find" in note.text


async def test_the_reason_modal_does_not_wait_for_the_vote(workplace: Workplace) -> None:
    answer = await workplace.ask()
    interaction = await workplace.interaction(answer)
    async with workplace.store.begin() as tx:
        # Whoever records a vote of Ben's waits for this transaction.
        await tx.connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
            {"key": f"{interaction.id}:{BEN}"},
        )
        acted = await workplace.people.click(
            user=BEN, message=answer, action_id=THUMBS, value="negative", wait_view_s=5
        )
        assert acted.opened
        assert await workplace.votes(answer) == []

    async def voted() -> bool:
        return await opinions(workplace, answer) == {BEN: Rating.DOWN}

    await until(voted)


async def test_an_abandoned_modal_leaves_the_vote_and_a_sent_one_is_thanked(
    workplace: Workplace,
) -> None:
    answer = await workplace.ask()
    people = workplace.people
    for user in (BEN, GRACE):
        await people.click(
            user=user, message=answer, action_id=THUMBS, value="negative", wait_view_s=5
        )
    await people.close(user=BEN)
    sent = await people.submit(
        user=GRACE,
        values={
            "reasons": ["wrong_fact"],
            "tone": "too_cold",
            "comment": "Ask Henrik Sand <!here>",
        },
    )
    assert sent.outcome == "closed"
    note = await people.wait_for_ephemeral(user=GRACE, channel=SUPPORT, thread_ts=answer.thread_ts)
    assert "Thank you" in note.text
    votes = {vote.user_id: vote for vote in await workplace.votes(answer)}
    assert (votes[BEN].rating, votes[BEN].reasons) == (Rating.DOWN, ())
    assert votes[GRACE].reasons == (Reason.WRONG_FACT, Reason.TOO_COLD)
    assert "Henrik" not in votes[GRACE].comment
    (shown,) = await workplace.answers(str(answer.thread_ts))
    assert shown.raw["blocks"] == answer.raw["blocks"]
    for user in (AMIRA, BEN):
        seen = await people.messages(channel=SUPPORT, thread_ts=answer.thread_ts, user=user)
        assert not [m for m in seen if m.raw.get("is_ephemeral")], "nobody else is told"


async def test_a_modal_that_cannot_open_costs_no_vote(workplace: Workplace) -> None:
    answer = await workplace.ask()
    await workplace.people.fault(method="views.open", kind="error", code="expired_trigger_id")
    await workplace.people.click(user=BEN, message=answer, action_id=THUMBS, value="negative")
    note = await workplace.people.wait_for_ephemeral(
        user=BEN, channel=SUPPORT, thread_ts=answer.thread_ts
    )
    assert "Click again" in note.text

    async def voted() -> bool:
        return await opinions(workplace, answer) == {BEN: Rating.DOWN}

    await until(voted)


async def test_many_clicks_at_once_are_one_opinion(workplace: Workplace) -> None:
    answer = await workplace.ask()
    click = workplace.people.click
    await asyncio.gather(
        *(
            click(user=BEN, message=answer, action_id=THUMBS, value=value)
            for value in ("positive", "negative") * 4
        )
    )
    await click(user=BEN, message=answer, action_id=THUMBS, value="positive")

    async def counted() -> bool:
        async with workplace.store.begin() as tx:
            acts = await tx.connection.scalar(text("select count(*) from vote_events"))
        return bool(acts == 9)

    await until(counted)
    assert await opinions(workplace, answer) == {BEN: Rating.UP}


async def test_a_click_after_a_reaction_is_the_last_word(workplace: Workplace) -> None:
    answer = await workplace.ask()
    await workplace.people.react(user=BEN, message=answer, name="+1")
    await workplace.settle()
    await workplace.people.click(user=BEN, message=answer, action_id=THUMBS, value="negative")
    await workplace.settle()

    async def counted() -> bool:
        return await opinions(workplace, answer) == {BEN: Rating.DOWN}

    await until(counted)


async def test_a_reaction_on_an_earlier_part_counts_for_the_answer(workplace: Workplace) -> None:
    workplace.model._script = lambda _messages, _adapter: "\n\n".join(
        f"Paragraph {number}. " + "word " * 150 for number in range(6)
    )
    last = await workplace.ask()
    await workplace.settle()
    first, *_, last = await workplace.answers(str(last.thread_ts))
    assert first.ts != last.ts
    await workplace.people.react(user=BEN, message=first, name="thumbsdown::skin-tone-2")

    async def counted() -> bool:
        return await opinions(workplace, last) == {BEN: Rating.DOWN}

    await until(counted)


@pytest.mark.parametrize("way", ["click", "reaction"])
async def test_an_erased_answer_takes_no_opinion(workplace: Workplace, way: str) -> None:
    asked = await workplace.people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> export?")
    answer = await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    await workplace.settle()
    await workplace.people.delete(user=AMIRA, message=asked)
    await workplace.settle()
    if way == "click":
        await workplace.people.click(user=BEN, message=answer, action_id=THUMBS, value="positive")
        note = await workplace.people.wait_for_ephemeral(
            user=BEN, channel=SUPPORT, thread_ts=answer.thread_ts
        )
        assert "cannot find" in note.text
    else:
        await workplace.people.react(user=BEN, message=answer, name="+1")
        await workplace.settle()
    assert await workplace.votes(answer) == []
