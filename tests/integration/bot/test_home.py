"""The App Home by role: queue, imported candidates, roles, channel settings, user groups."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from feedback.domain.channel import ChannelSettings, Streaming
from feedback.domain.interaction import InteractionRecord
from feedback.domain.person import Role
from tests.integration.bot.conftest import (
    AMIRA,
    BEN,
    BOT,
    GRACE,
    HENRIK,
    INES,
    JONAS,
    REVIEW,
    SUPPORT,
    Workplace,
)
from tests.integration.bot.test_loop import propose
from tests.waiting import until


async def home(place: Workplace, user: str, where: Callable[[str], bool]) -> dict[str, Any]:
    """Opens the App Home and returns it once it shows something."""
    await place.people.open_home(user=user)
    return await shown(place, user, where)


async def shown(place: Workplace, user: str, where: Callable[[str], bool]) -> dict[str, Any]:
    async def there() -> bool:
        view = await place.people.home(user)
        return view is not None and where(str(view))

    await until(there)
    view = await place.people.home(user)
    assert view is not None
    return view


async def role(place: Workplace, user: str) -> Role:
    async with place.store.begin() as tx:
        return (await tx.people.get(place.team, user)).role


async def test_reviewers_claim_and_decide_from_their_home(workplace: Workplace) -> None:
    people = workplace.people
    await propose(workplace, BEN)
    await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    view = await home(workplace, GRACE, lambda text: "home_claim" in text)
    assert "/archives/C0REVIEW04/" in str(view)
    await people.click_in_view(user=GRACE, view_id=view["id"], action_id="home_claim")
    view = await shown(workplace, GRACE, lambda text: f"claimed by <@{GRACE}>" in text)
    await people.wait_for_message(channel=REVIEW, where=lambda m: "claimed" in m.text)

    opened = await people.click_in_view(
        user=GRACE, view_id=view["id"], action_id="home_review", wait_view_s=5
    )
    assert opened.view is not None
    assert (await people.submit(user=GRACE, values={})).outcome == "errors"
    done = await people.submit(user=GRACE, values={"decision": "approve"})
    assert done.outcome == "closed", done
    await shown(workplace, GRACE, lambda text: "1 of 5,000" in text)
    await people.wait_for_message(channel=REVIEW, where=lambda m: "approved" in m.text)


async def test_a_stale_claim_in_the_home_is_answered_in_a_small_window(
    workplace: Workplace,
) -> None:
    people = workplace.people
    await propose(workplace, BEN)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    view = await home(workplace, GRACE, lambda text: "home_claim" in text)
    await people.click(user=HENRIK, message=card, action_id="review_claim")
    await people.wait_for_message(channel=REVIEW, where=lambda m: "claimed" in m.text)
    told = await people.click_in_view(
        user=GRACE, view_id=view["id"], action_id="home_claim", wait_view_s=5
    )
    assert "faster" in str(told.view)
    await shown(workplace, GRACE, lambda text: "home_claim" not in text)


async def test_a_home_that_changed_meanwhile_is_read_again(workplace: Workplace) -> None:
    await home(workplace, AMIRA, lambda text: "Your questions" in text)
    await workplace.ask()
    await workplace.people.fault(method="views.publish", kind="error", code="hash_conflict")
    await home(workplace, AMIRA, lambda text: "How do I export a report?" in text)


async def test_own_questions_say_who_takes_care(workplace: Workplace) -> None:
    people = workplace.people
    answer = await workplace.ask("What is near our refund policy?")
    called = await people.wait_for_reply(
        channel=SUPPORT, thread_ts=str(answer.thread_ts), where=lambda m: "help?" in m.text
    )
    await home(workplace, AMIRA, lambda text: "a colleague is called" in text)
    await people.click(user=BEN, message=called, action_id="handoff_take")
    await people.wait_for_reply(
        channel=SUPPORT, thread_ts=str(answer.thread_ts), where=lambda m: "takes care" in m.text
    )
    await home(workplace, AMIRA, lambda text: f"<@{BEN}> takes care of it" in text)


async def test_admins_give_roles_and_groups_do_not_take_them(workplace: Workplace) -> None:
    people = workplace.people
    view = await home(workplace, JONAS, lambda text: "home_role" in text)
    assert "home_role" not in str(await home(workplace, GRACE, lambda text: "Review" in text))
    await people.click_in_view(user=JONAS, view_id=view["id"], action_id="home_role", wait_view_s=5)
    saved = await people.submit(user=JONAS, values={"person": BEN, "role": "reviewer"})
    assert saved.outcome == "closed", saved
    await shown(workplace, JONAS, lambda text: f"<@{BEN}> reviewer _(set by hand)_" in text)
    assert await role(workplace, BEN) is Role.REVIEWER
    await people.set_group(group="reviewers", users=[HENRIK])

    async def followed() -> bool:
        return await role(workplace, GRACE) is Role.AGENT

    await until(followed)
    assert await role(workplace, BEN) is Role.REVIEWER
    assert await role(workplace, HENRIK) is Role.REVIEWER

    view = await home(workplace, JONAS, lambda text: f"<@{GRACE}>" not in text)
    await people.click_in_view(user=JONAS, view_id=view["id"], action_id="home_role", wait_view_s=5)
    await people.submit(user=JONAS, values={"person": BEN, "role": "directory"})

    async def back() -> bool:
        return await role(workplace, BEN) is Role.AGENT

    await until(back)


async def test_the_last_admin_stays_and_a_revoked_one_saves_nothing(workplace: Workplace) -> None:
    people = workplace.people
    view = await home(workplace, JONAS, lambda text: "home_role" in text)

    async def change(user: str, to: str) -> str:
        await people.click_in_view(
            user=JONAS, view_id=view["id"], action_id="home_role", wait_view_s=5
        )
        return str((await people.submit(user=JONAS, values={"person": user, "role": to})).errors)

    assert "only admin" in await change(JONAS, "agent")
    assert await role(workplace, JONAS) is Role.ADMIN

    await people.close(user=JONAS)
    await people.click_in_view(user=JONAS, view_id=view["id"], action_id="home_role", wait_view_s=5)
    async with workplace.store.begin() as tx:
        await tx.people.set_role(workplace.team, INES, Role.ADMIN, at=datetime.now(UTC))
        await tx.people.set_role(workplace.team, JONAS, Role.AGENT, at=datetime.now(UTC))
    late = await people.submit(user=JONAS, values={"person": BEN, "role": "admin"})
    assert "role does not permit" in str(late.errors)
    assert await role(workplace, BEN) is Role.AGENT


async def test_admins_set_a_channel_up(workplace: Workplace) -> None:
    people = workplace.people
    view = await home(workplace, JONAS, lambda text: "home_channel" in text)

    async def save(**values: object) -> object:
        await people.click_in_view(
            user=JONAS,
            view_id=view["id"],
            action_id="home_channel",
            value=SUPPORT,
            wait_view_s=5,
        )
        await people.wait_for_modal(
            user=JONAS, where=lambda modal: modal["callback_id"] == "channel_modal"
        )
        return await people.submit(user=JONAS, values=values)

    both = await save(on_call_group="S0ONCALL02", on_call_person=HENRIK)
    assert "not both" in str(both)
    await people.close(user=JONAS)
    await save(buttons="off", streaming="on", on_call_person=HENRIK, review_channel=REVIEW)
    view = await shown(workplace, JONAS, lambda text: "no thumbs, streaming on" in text)
    async with workplace.store.begin() as tx:
        stored = await tx.channels.get(workplace.team, SUPPORT)
    assert stored == ChannelSettings(
        buttons=False, streaming=Streaming.ON, on_call=HENRIK, review_channel=REVIEW
    )
    answer = await workplace.ask()
    assert "feedback_buttons" not in str(answer.blocks)
    assert "answer_correct" in str(answer.blocks)

    await save(answering="off")
    await shown(workplace, JONAS, lambda text: "no answers" in text)
    asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How to export?")
    await workplace.settle()
    assert await workplace.answers(asked.ts) == []


async def test_imported_candidates_become_labels(workplace: Workplace) -> None:
    people = workplace.people
    record = InteractionRecord(
        id="7", thread_id="t7", user_id="ana", ts=1_700_000_000.0, question="How to pay?",
        answer="No idea.", correction="Open Billing and choose Pay.",
    )  # fmt: skip
    async with workplace.store.begin() as tx:
        await tx.imports.add([record], {}, redaction_version="1", at=datetime.now(UTC))
    view = await home(workplace, INES, lambda text: "imported candidate" in text)
    await people.click_in_view(user=INES, view_id=view["id"], action_id="home_adopt")
    view = await shown(workplace, INES, lambda text: "How to pay?" in text)
    assert "imported candidate" not in str(view)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "How to pay?" in m.text)
    assert "it was imported" in str(card.blocks)
    await people.click(user=INES, message=card, action_id="review_approve")
    await people.wait_for_message(channel=REVIEW, where=lambda m: "approved" in m.text)
    async with workplace.store.begin() as tx:
        (label,) = await tx.records.trainable("all")
        assert await tx.records.trainable("reviewer_authored") == []
    assert label.correction == "Open Billing and choose Pay."
