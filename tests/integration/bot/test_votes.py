"""Thumbs by button and by reaction: what counts is each person's last word."""

from feedback.domain.interaction import Rating
from tests.integration.bot.conftest import AMIRA, BEN, GRACE, Workplace, until


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
