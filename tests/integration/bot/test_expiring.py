"""What was taken and not finished is free again, as people see; what waits in vain is erased."""

from sqlalchemy import text

from bot.sandbox.gestures import SandboxMessage
from feedback.domain.handoff import HandoffState
from tests.integration.bot.conftest import BEN, GRACE, HENRIK, REVIEW, SUPPORT, Workplace
from tests.integration.bot.test_handoff import call, handoff, message_saying
from tests.integration.bot.test_loop import propose
from tests.waiting import until


async def pass_time(place: Workplace, column: str, hours: float) -> None:
    """Lets so much time go by for one kind of thing, then looks."""
    table, _, name = column.partition(".")
    async with place.store.begin() as tx:
        await tx.connection.execute(
            text(f"update {table} set {name} = {name} - make_interval(mins => :m)"),
            {"m": round(hours * 60)},
        )
    await place.bot.expiring.look()


async def card(place: Workplace, words: str) -> SandboxMessage:
    return await place.people.wait_for_message(channel=REVIEW, where=lambda m: words in m.text)


async def test_a_claim_that_leads_to_nothing_is_given_back(workplace: Workplace) -> None:
    people = workplace.people
    await propose(workplace, BEN)
    await people.click(
        user=GRACE, message=await card(workplace, "Correction"), action_id="review_claim"
    )
    await card(workplace, f"claimed by <@{GRACE}>")
    await pass_time(workplace, "corrections.claimed_at", 23.9)
    await workplace.settle()
    assert f"claimed by <@{GRACE}>" in (await people.messages(channel=REVIEW))[-1].text

    await pass_time(workplace, "corrections.claimed_at", 0.2)
    free = await card(workplace, "waiting for a reviewer")
    assert "review_claim" in str(free.blocks)
    private = await people.open_dm(user=GRACE)

    async def told() -> bool:
        said = await people.messages(channel=private)
        return ["I gave it back to everybody" in m.text for m in said] == [True]

    await until(told)
    await people.click(user=HENRIK, message=free, action_id="review_claim")
    taken = await card(workplace, f"claimed by <@{HENRIK}>")
    await people.click(user=HENRIK, message=taken, action_id="review_approve")
    await card(workplace, "approved")
    await pass_time(workplace, "corrections.claimed_at", 100)
    await workplace.settle()
    assert "approved" in (await people.messages(channel=REVIEW))[-1].text, "decided for good"


async def test_a_question_that_was_taken_and_not_answered_is_called_out_again(
    workplace: Workplace,
) -> None:
    people = workplace.people
    called = await call(workplace)
    root = str(called.thread_ts)
    await people.click(user=BEN, message=called, action_id="handoff_take")
    answer = (await workplace.answers(root))[0]
    await message_saying(workplace, answer, "takes care")
    await pass_time(workplace, "handoffs.taken_at", 7.9)
    assert (await handoff(workplace, answer)).state is HandoffState.TAKEN

    await pass_time(workplace, "handoffs.taken_at", 0.2)
    again = await message_saying(workplace, answer, f"<@{BEN}> took this")
    assert "<!subteam^S0ONCALL02>" in again.text, "who is on call is called, not only shown"
    row = await handoff(workplace, answer)
    assert (row.state, row.taken_by) == (HandoffState.OPEN, None)
    open_again = await people.wait_for_reply(
        channel=SUPPORT, thread_ts=root, where=lambda m: "handoff_take" in str(m.blocks)
    )
    assert open_again.ts == called.ts
    await people.click(user=GRACE, message=open_again, action_id="handoff_take")
    await message_saying(workplace, answer, f"<@{GRACE}> takes care")
    await workplace.bot.expiring.look()
    assert (await handoff(workplace, answer)).taken_by == GRACE


async def test_deliveries_that_wait_in_vain_for_an_installation_are_erased(
    workplace: Workplace,
) -> None:
    parked = """
        insert into inbox (event_id, type, team, payload, state, available_at, received_at)
        values (:id, 'message', 'T0GONE', '{"body": "private words"}', 'parked', now(),
                now() - make_interval(days => :days))
        """
    async with workplace.store.begin() as tx:
        for event_id, days in (("Ev31", 31), ("Ev29", 29)):
            await tx.connection.execute(text(parked), {"id": event_id, "days": days})
    await workplace.bot.expiring.look()
    async with workplace.store.begin() as tx:
        left = await tx.connection.execute(text("select event_id from inbox"))
        assert [row.event_id for row in left] == ["Ev29"]
