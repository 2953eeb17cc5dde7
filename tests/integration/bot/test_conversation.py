"""Who gets an answer, where, and exactly how many."""

from sqlalchemy import text

from feedback.domain.interaction import InteractionState
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BEN,
    BOT,
    GRACE,
    SUPPORT,
    Workplace,
)
from tests.waiting import until


async def test_a_direct_message_is_answered_in_its_own_thread(workplace: Workplace) -> None:
    channel = await workplace.people.open_dm(user=AMIRA)
    asked = await workplace.people.post(user=AMIRA, channel=channel, text="How to export?")
    answer = await workplace.people.wait_for_reply(channel=channel, thread_ts=asked.ts)
    assert answer.text == ANSWER


async def test_the_asker_follows_up_without_a_mention(workplace: Workplace) -> None:
    answer = await workplace.ask()
    root = str(answer.thread_ts)
    follow = await workplace.people.post(
        user=AMIRA, channel=SUPPORT, text="And how do I export a list?", thread_ts=root
    )
    second = await workplace.people.wait_for_reply(
        channel=SUPPORT, thread_ts=root, after_ts=follow.ts
    )
    assert second.text == ANSWER
    messages = workplace.model.calls[-1].messages
    # The second question is asked with the first in sight.
    assert [message.role for message in messages] == ["user", "assistant", "user"]


async def test_talk_between_people_is_left_alone(workplace: Workplace) -> None:
    answer = await workplace.ask()
    root = str(answer.thread_ts)
    say = workplace.people.post
    await say(user=BEN, channel=SUPPORT, text="I always click Export twice.", thread_ts=root)
    await say(user=AMIRA, channel=SUPPORT, text=f"<@{BEN}> does that help?", thread_ts=root)
    await say(user=BEN, channel=SUPPORT, text="Lunch?")
    await workplace.settle()
    assert len(await workplace.answers(root)) == 1
    assert len(workplace.model.calls) == 1


async def test_once_a_colleague_joins_the_bot_waits_to_be_named(workplace: Workplace) -> None:
    answer = await workplace.ask()
    root = str(answer.thread_ts)
    say = workplace.people.post
    await say(user=BEN, channel=SUPPORT, text="Which report is it?", thread_ts=root)
    await workplace.settle()  # two connections may deliver in any order
    await say(user=AMIRA, channel=SUPPORT, text="The export of March", thread_ts=root)
    await workplace.settle()
    assert len(await workplace.answers(root)) == 1, "she talks to Ben"
    await workplace.ask("and how do I export March?", thread_ts=root)
    follow = await say(user=AMIRA, channel=SUPPORT, text="And the export of April?", thread_ts=root)
    await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=root, after_ts=follow.ts)
    await workplace.settle()
    assert len(await workplace.answers(root)) == 3, "it is the bot's turn again"


async def test_a_word_of_thanks_gets_no_lecture(workplace: Workplace) -> None:
    answer = await workplace.ask()
    root = str(answer.thread_ts)
    for said in ("Thanks a lot!", ":+1:", "ok, that works"):
        await workplace.people.post(user=AMIRA, channel=SUPPORT, text=said, thread_ts=root)
    await workplace.settle()
    assert len(await workplace.answers(root)) == 1


async def test_a_colleague_who_names_the_bot_is_answered_and_may_follow_up(
    workplace: Workplace,
) -> None:
    root = str((await workplace.ask()).thread_ts)
    await workplace.ask("how do I export it twice?", user=BEN, thread_ts=root)
    follow = await workplace.people.post(
        user=BEN, channel=SUPPORT, text="And export it thrice?", thread_ts=root
    )
    await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=root, after_ts=follow.ts)


async def test_duplicated_and_unacknowledged_deliveries_give_one_answer(
    workplace: Workplace,
) -> None:
    await workplace.people.delivery_faults(duplicate=4, drop_acks=3)
    answer = await workplace.ask()
    await workplace.people.clear_faults()

    await workplace.settle()
    assert len(await workplace.answers(str(answer.thread_ts))) == 1


async def test_names_are_replaced_before_anything_is_stored(workplace: Workplace) -> None:
    answer = await workplace.ask("Can Grace Lindqvist export it? Her mail is grace@example.org")
    interaction = await workplace.interaction(answer)
    assert "Grace" not in interaction.question
    assert "<PERSON_1>" in interaction.question
    assert "<EMAIL_ADDRESS_1>" in interaction.question
    assert "grace@example.org" not in str(workplace.model.calls)
    async with workplace.store.begin() as tx:
        kept = await tx.connection.scalar(
            text("select count(*) from inbox where payload::text like '%Lindqvist%'")
        )
    assert kept == 0


async def test_an_edited_question_is_stored_anew(workplace: Workplace) -> None:
    asked = await workplace.people.post(
        user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?"
    )
    answer = await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    await workplace.people.edit(user=AMIRA, message=asked, text=f"<@{BOT}> how to export a PDF?")
    await workplace.settle()
    assert (await workplace.interaction(answer)).question == "how to export a PDF?"


async def test_the_asker_is_told_in_private_that_the_answer_stays(workplace: Workplace) -> None:
    asked = await workplace.people.post(
        user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?"
    )
    await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    await workplace.settle()
    await workplace.people.edit(user=AMIRA, message=asked, text=f"<@{BOT}> How to export")
    await workplace.settle()
    seen = await workplace.people.messages(channel=SUPPORT, thread_ts=asked.ts, user=AMIRA)
    assert not [m for m in seen if m.raw.get("is_ephemeral")], "a typo is no new question"
    await workplace.people.edit(user=AMIRA, message=asked, text=f"<@{BOT}> how to import?")
    note = await workplace.people.wait_for_ephemeral(
        user=AMIRA, channel=SUPPORT, thread_ts=asked.ts
    )
    assert "changed your question" in note.text
    assert len(await workplace.answers(asked.ts)) == 1
    assert len(workplace.model.calls) == 1


async def test_naming_the_bot_afterwards_asks_it(workplace: Workplace) -> None:
    asked = await workplace.people.post(user=AMIRA, channel=SUPPORT, text="how to export?")
    await workplace.settle()
    await workplace.people.edit(user=AMIRA, message=asked, text=f"<@{BOT}> how to export?")
    await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    await workplace.people.edit(user=AMIRA, message=asked, text=f"how to export, <@{BOT}>?")
    await workplace.settle()
    assert len(await workplace.answers(asked.ts)) == 1


async def test_a_deleted_question_is_erased(workplace: Workplace) -> None:
    asked = await workplace.people.post(
        user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?"
    )
    answer = await workplace.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    await workplace.settle()
    await workplace.people.delete(user=AMIRA, message=asked)

    async def erased() -> bool:
        return (await workplace.interaction(answer)).state is InteractionState.ERASED

    await until(erased)
    interaction = await workplace.interaction(answer)
    assert (interaction.question, interaction.answer) == ("", None)


async def test_home_shows_own_questions_and_the_queue_to_reviewers(workplace: Workplace) -> None:
    await workplace.ask()
    await workplace.people.open_home(user=AMIRA)
    await workplace.people.open_home(user=GRACE)

    async def published() -> bool:
        return await workplace.people.home(AMIRA) is not None and (
            await workplace.people.home(GRACE) is not None
        )

    await until(published)
    own, reviewing = (
        str(await workplace.people.home(AMIRA)),
        str(await workplace.people.home(GRACE)),
    )
    assert "How do I export a report?" in own
    assert "wait for a reviewer" not in own
    assert "wait for a reviewer" in reviewing
    assert "0 of 5,000" in reviewing


async def test_what_nobody_knows_is_handed_to_a_person(workplace: Workplace) -> None:
    answer = await workplace.ask("What is near to our subject?")
    assert "I don't know" in answer.text
    called = await workplace.people.wait_for_reply(
        channel=SUPPORT, thread_ts=str(answer.thread_ts), after_ts=answer.ts
    )
    assert "<!subteam^S0ONCALL02>" in called.text
    interaction = await workplace.interaction(answer)
    assert interaction.abstained
    assert interaction.retrieved, "what was found is kept for mining"
