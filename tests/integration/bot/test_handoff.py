"""Talk to a person: called, taken, answered, learnt from; and the bot keeps quiet meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime

from bot.sandbox.gestures import SandboxMessage
from feedback.domain.channel import ChannelSettings
from feedback.domain.correction import Correction, CorrectionSource, CorrectionState, QueueReason
from feedback.domain.handoff import Handoff, HandoffReason, HandoffState
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BEN,
    BOT,
    GRACE,
    HENRIK,
    REVIEW,
    SUPPORT,
    Workplace,
)
from tests.waiting import until

UNKNOWN = "What is near our refund policy?"
REPLY = "Refunds are paid within ten days, write to billing."


async def call(place: Workplace, question: str = UNKNOWN) -> SandboxMessage:
    """Asks what the bot does not know; returns the message that calls a person."""
    answer = await place.ask(question)
    return await message_saying(place, answer, "help?")


async def message_saying(place: Workplace, answer: SandboxMessage, words: str) -> SandboxMessage:
    return await place.people.wait_for_reply(
        channel=SUPPORT, thread_ts=str(answer.thread_ts), where=lambda m: words in m.text
    )


async def handoff(place: Workplace, answer: SandboxMessage) -> Handoff:
    interaction = await place.interaction(answer)
    async with place.store.begin() as tx:
        return (await tx.handoffs.of_interactions([interaction.id]))[interaction.id]


async def candidates(place: Workplace) -> list[Correction]:
    async with place.store.begin() as tx:
        return await tx.corrections.queue(place.team)


async def reply(place: Workplace, user: str, root: str, text: str) -> SandboxMessage:
    posted = await place.people.post(user=user, channel=SUPPORT, thread_ts=root, text=text)
    await place.settle()
    return posted


async def test_when_the_bot_does_not_know_it_calls_who_is_on_call(workplace: Workplace) -> None:
    people = workplace.people
    called = await call(workplace)
    root = str(called.thread_ts)
    assert "<!subteam^S0ONCALL02>" in called.text
    answer = (await workplace.answers(root))[0]
    assert (await handoff(workplace, answer)).reason is HandoffReason.ABSTAINED

    await people.click(user=AMIRA, message=called, action_id="handoff_take")
    told = await people.wait_for_ephemeral(user=AMIRA, channel=SUPPORT, thread_ts=root)
    assert "your own question" in told.text
    await people.click(user=BEN, message=called, action_id="handoff_take")
    taken = await message_saying(workplace, answer, "takes care")
    assert f"<@{BEN}>" in taken.text
    assert taken.ts == called.ts
    row = await handoff(workplace, answer)
    assert (row.state, row.taken_by) == (HandoffState.TAKEN, BEN)


async def test_one_takes_it_and_the_other_is_told(workplace: Workplace) -> None:
    people = workplace.people
    called = await call(workplace)
    async with workplace.store.begin() as tx:
        # Both have clicked before the card can say that one of them was faster.
        await tx.connection.exec_driver_sql("lock table handoffs in exclusive mode")
        await people.click(user=BEN, message=called, action_id="handoff_take")
        await people.click(user=GRACE, message=called, action_id="handoff_take")
    answer = (await workplace.answers(str(called.thread_ts)))[0]
    await message_saying(workplace, answer, "takes care")
    row = await handoff(workplace, answer)
    loser = GRACE if row.taken_by == BEN else BEN
    told = await people.wait_for_ephemeral(
        user=loser, channel=SUPPORT, thread_ts=str(called.thread_ts)
    )
    assert "faster" in told.text


async def test_the_colleagues_reply_waits_for_review_and_trains_nothing_yet(
    workplace: Workplace,
) -> None:
    people = workplace.people
    called = await call(workplace)
    root = str(called.thread_ts)
    answer = (await workplace.answers(root))[0]
    await reply(workplace, BEN, root, "on it")
    assert (await handoff(workplace, answer)).taken_by == BEN
    assert await candidates(workplace) == []
    await reply(workplace, BEN, root, "Which plan are you on, Amira?")
    assert await candidates(workplace) == []

    posted = await reply(workplace, BEN, root, REPLY)
    (candidate,) = await candidates(workplace)
    assert candidate.source is CorrectionSource.HUMAN_REPLY
    assert candidate.state is CorrectionState.PROPOSED
    assert candidate.queued_for == (QueueReason.HUMAN_REPLY,)
    assert (candidate.question, candidate.text, candidate.author) == (UNKNOWN, REPLY, BEN)
    # Ben is no reviewer and has not consented.
    assert candidate.consent == "none"
    row = await handoff(workplace, answer)
    assert (row.state, row.answered_by, row.answer_ts) == (HandoffState.ANSWERED, BEN, posted.ts)
    async with workplace.store.begin() as tx:
        assert await tx.records.trainable("all") == []

    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    assert "colleague answered instead" in str(card.blocks)
    await people.click(user=GRACE, message=card, action_id="review_approve")
    await people.wait_for_message(channel=REVIEW, where=lambda m: "approved" in m.text)
    async with workplace.store.begin() as tx:
        assert await tx.records.trainable("reviewer_authored") == []
        assert [r.correction for r in await tx.records.trainable("all")] == [REPLY]


async def test_a_second_reply_and_a_repeated_delivery_make_no_second_candidate(
    workplace: Workplace,
) -> None:
    called = await call(workplace)
    root = str(called.thread_ts)
    await workplace.people.delivery_faults(duplicate=2)
    await reply(workplace, GRACE, root, REPLY)
    await reply(workplace, HENRIK, root, "And keep the invoice, you will need it.")
    (candidate,) = await candidates(workplace)
    assert (candidate.author, candidate.consent) == (GRACE, "reviewer_authored")


async def test_an_edited_reply_rewrites_what_nobody_has_looked_at(workplace: Workplace) -> None:
    people = workplace.people
    called = await call(workplace)
    posted = await reply(workplace, BEN, str(called.thread_ts), REPLY)
    better = "Refunds are paid within five days, write to billing."
    await people.edit(user=BEN, message=posted, text=better)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "five days" in str(m.raw))
    (candidate,) = await candidates(workplace)
    assert (candidate.text, candidate.version) == (better, 1)

    await people.click(user=GRACE, message=card, action_id="review_claim")
    await people.wait_for_message(channel=REVIEW, where=lambda m: "claimed" in m.text)
    await people.edit(user=BEN, message=posted, text="Refunds are never paid at all, sorry.")
    await workplace.settle()
    (claimed,) = await candidates(workplace)
    assert claimed.text == better


async def test_a_deleted_reply_is_forgotten(workplace: Workplace) -> None:
    called = await call(workplace)
    posted = await reply(workplace, BEN, str(called.thread_ts), REPLY)
    (candidate,) = await candidates(workplace)
    await workplace.people.delete(user=BEN, message=posted)
    await workplace.settle()

    async def withdrawn() -> bool:
        async with workplace.store.begin() as tx:
            now = await tx.corrections.get(candidate.id, team=workplace.team)
        return (now.state, now.text, now.question) == (CorrectionState.WITHDRAWN, "", "")

    await until(withdrawn)


async def test_the_bot_keeps_quiet_once_somebody_took_it_unless_it_is_named(
    workplace: Workplace,
) -> None:
    people = workplace.people
    called = await call(workplace)
    root = str(called.thread_ts)
    await people.click(user=BEN, message=called, action_id="handoff_take")
    first = (await workplace.answers(root))[0]
    taken = await message_saying(workplace, first, "takes care")
    before = len(await workplace.answers(root))
    await reply(workplace, AMIRA, root, "I mean how to export a refund report")
    assert len(await workplace.answers(root)) == before
    assert (await workplace.ask(thread_ts=root)).text == ANSWER

    await people.click(user=AMIRA, message=taken, action_id="handoff_close")
    await message_saying(workplace, first, "settled")
    asked = await people.post(
        user=AMIRA, channel=SUPPORT, thread_ts=root, text="And how to export a list?"
    )
    again = await people.wait_for_reply(channel=SUPPORT, thread_ts=root, after_ts=asked.ts)
    assert again.text == ANSWER


async def test_the_button_calls_the_channels_own_person_once(workplace: Workplace) -> None:
    people = workplace.people
    async with workplace.store.begin() as tx:
        await tx.channels.save(
            workplace.team, SUPPORT, ChannelSettings(on_call=HENRIK), at=datetime.now(UTC)
        )
    answer = await workplace.ask()
    await people.click(user=AMIRA, message=answer, action_id="answer_handoff")
    called = await message_saying(workplace, answer, "help?")
    assert f"<@{HENRIK}> Can you help?" in called.text
    told = await people.wait_for_ephemeral(
        user=AMIRA, channel=SUPPORT, thread_ts=str(answer.thread_ts)
    )
    assert "called a colleague" in told.text
    await people.click(user=BEN, message=answer, action_id="answer_handoff")
    also = await people.wait_for_ephemeral(
        user=BEN, channel=SUPPORT, thread_ts=str(answer.thread_ts)
    )
    assert "already" in also.text
    calls = [m for m in await workplace.answers(str(answer.thread_ts)) if "help?" in m.text]
    assert len(calls) == 1


async def test_asking_for_a_person_in_words_calls_one_about_the_answer_before(
    workplace: Workplace,
) -> None:
    people = workplace.people
    first = await workplace.ask()
    root = str(first.thread_ts)
    asked_before = len(workplace.model.calls)
    await reply(workplace, AMIRA, root, f"<@{BOT}> can I talk to a human please?")
    called = await message_saying(workplace, first, "asks for a person")
    assert len(workplace.model.calls) == asked_before
    row = await handoff(workplace, first)
    assert row.reason is HandoffReason.WORDS
    await reply(workplace, BEN, root, "Use the button at the top right of the list.")
    (candidate,) = await candidates(workplace)
    assert candidate.question == "How do I export a report?"
    await message_saying(workplace, called, "answered")
    assert people is not None


async def test_a_request_for_a_person_alone_teaches_nothing(workplace: Workplace) -> None:
    answer = await workplace.ask("I want to talk to a person")
    await message_saying(workplace, answer, "asks for a person")
    await reply(workplace, BEN, str(answer.thread_ts), "Hello Amira, I am here to help you.")
    assert (await handoff(workplace, answer)).state is HandoffState.ANSWERED
    assert await candidates(workplace) == []


async def test_nobody_is_called_into_a_direct_conversation(workplace: Workplace) -> None:
    people = workplace.people
    channel = await people.open_dm(user=AMIRA)
    asked = await people.post(user=AMIRA, channel=channel, text=UNKNOWN)
    answer = await people.wait_for_reply(channel=channel, thread_ts=asked.ts)
    await workplace.settle()
    await people.click(user=AMIRA, message=answer, action_id="answer_handoff")
    told = await people.wait_for_ephemeral(user=AMIRA, channel=channel, thread_ts=asked.ts)
    assert "direct conversation" in told.text
    interaction = await workplace.interaction(answer)
    async with workplace.store.begin() as tx:
        assert await tx.handoffs.of_interactions([interaction.id]) == {}


async def test_a_forged_id_of_another_team_takes_nothing(workplace: Workplace) -> None:
    people = workplace.people
    called = await call(workplace)
    answer = (await workplace.answers(str(called.thread_ts)))[0]
    row = await handoff(workplace, answer)
    elsewhere = replace(row, id="h-elsewhere", team="T0ELSEWHERE", thread_key="T0ELSEWHERE:C:1")
    async with workplace.store.begin() as tx:
        await tx.handoffs.open(elsewhere)
    message = workplace.sandbox.sandbox.state.channel(SUPPORT).message(called.ts)
    for block in message["blocks"]:
        for element in block.get("elements", []):
            element["value"] = element["value"].replace(row.id, elsewhere.id)
    for action in ("handoff_take", "handoff_close"):
        await people.click(user=BEN, message=called, action_id=action)
    told = await people.wait_for_ephemeral(
        user=BEN, channel=SUPPORT, thread_ts=str(called.thread_ts)
    )
    assert "cannot find" in told.text
    await workplace.settle()
    async with workplace.store.begin() as tx:
        same = await tx.handoffs.get(elsewhere.id, team="T0ELSEWHERE")
    assert (same.state, same.taken_by) == (HandoffState.OPEN, None)


async def test_only_those_concerned_settle_it(workplace: Workplace) -> None:
    people = workplace.people
    called = await call(workplace)
    root = str(called.thread_ts)
    await people.click(user=BEN, message=called, action_id="handoff_close")
    told = await people.wait_for_ephemeral(user=BEN, channel=SUPPORT, thread_ts=root)
    assert "role does not permit" in told.text
    await people.click(user=AMIRA, message=called, action_id="handoff_close")
    answer = (await workplace.answers(root))[0]
    await message_saying(workplace, answer, "settled")
    assert (await handoff(workplace, answer)).state is HandoffState.CLOSED
