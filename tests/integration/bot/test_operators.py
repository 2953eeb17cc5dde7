"""`/understudy` in the sandbox workspace: private answers, public notices, one effect each."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.operating import CONFIRM_WITHIN
from bot.sandbox.gestures import SandboxMessage
from bot.slack.orders import CANCEL_ACTION, COMMAND, CONFIRM_ACTION
from bot.slack.storing import to_delivery
from feedback.clock import SystemClock
from feedback.operations import standing
from feedback.settings import Settings
from tests.integration.bot.conftest import AMIRA, GRACE, JONAS, SUPPORT, Workplace
from tests.integration.operating.stage import add_adapter, set_stage
from tests.waiting import until

OPERATIONS = "C0OPERATE5"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tells operators in public what changes traffic."""
    slack = settings.slack.model_copy(update={"operators_channel": OPERATIONS})
    return settings.model_copy(update={"slack": slack})


async def say(place: Workplace, user: str, line: str, after: str = "") -> SandboxMessage:
    """Types a command and returns what the person alone is shown."""
    done = await place.people.command(user=user, channel=SUPPORT, command=COMMAND, text=line)
    assert done.acked, done.reason
    return await place.people.wait_for_ephemeral(user=user, channel=SUPPORT, after_ts=after)


async def press(
    place: Workplace, shown: SandboxMessage, action: str = CONFIRM_ACTION
) -> SandboxMessage:
    done = await place.people.click(user=JONAS, message=shown, action_id=action)
    assert done.acked, done.reason
    return await place.people.wait_for_ephemeral(user=JONAS, channel=SUPPORT, after_ts=shown.ts)


async def public(place: Workplace) -> list[str]:
    return [message.text for message in await place.people.messages(channel=OPERATIONS)]


async def test_an_agent_gets_help_and_no_power(workplace: Workplace) -> None:
    shown = await say(workplace, AMIRA, "")
    assert "/understudy forget" in str(shown.blocks)
    assert "freeze" not in str(shown.blocks)
    refused = await say(workplace, AMIRA, "freeze now", after=shown.ts)
    assert "role does not permit" in refused.text
    await workplace.settle()
    async with workplace.store.begin() as tx:
        assert not (await tx.routing.route()).frozen
    assert await public(workplace) == []


async def test_a_reviewer_reads(workplace: Workplace) -> None:
    status = await say(workplace, GRACE, "status")
    assert "the base model" in str(status.blocks)
    why = await say(workplace, GRACE, "why", after=status.ts)
    assert "0 of 5,000 approved corrections" in str(why.blocks)
    assert "No promotion: no experiment is running" in str(why.blocks)


async def test_the_brake_is_told_in_public(workplace: Workplace) -> None:
    shown = await say(workplace, JONAS, "freeze answers look odd")
    assert "Frozen" in shown.text

    async def told() -> bool:
        return len(await public(workplace)) == 1

    await until(told)
    (notice,) = await public(workplace)
    assert f"<@{JONAS}>" in notice
    assert "answers look odd" in notice
    assert notice.startswith(":snowflake:")


async def test_a_promotion_by_hand_is_asked_for_once(workplace: Workplace) -> None:
    await set_stage(workplace.store)
    shown = await say(workplace, JONAS, "promote the tone is clearly better")
    assert "Make *new* the champion" in shown.text
    done = await press(workplace, shown)
    assert "Asked for: new" in done.text
    present = await workplace.people.messages(channel=SUPPORT, user=JONAS)
    buttons = [message for message in present if CONFIRM_ACTION in str(message.blocks)]
    assert buttons == [], "the outcome stands where the buttons were"
    async with workplace.store.begin() as tx:
        request = await tx.promotion_requests.waiting("e-c1")
        closed = await tx.connection.scalar(
            text("select count(*) from inbox where state <> 'done' or payload <> '{}'")
        )
    assert request is not None
    assert (request.requested_by, request.reason) == (JONAS, "the tone is clearly better")
    assert closed == 0


async def test_a_rollback_can_be_cancelled_and_done(workplace: Workplace) -> None:
    now = SystemClock().now()
    async with workplace.store.begin() as tx:
        for number, name in enumerate(("one", "two")):
            await add_adapter(tx, name)
            await tx.adapters.promote(name, version=number, at=now)
    cancelled = await press(
        workplace, await say(workplace, JONAS, "rollback it is worse"), CANCEL_ACTION
    )
    assert "Nothing was changed" in cancelled.text
    again = await say(workplace, JONAS, "rollback it is worse", after=cancelled.ts)
    done = await press(workplace, again)
    assert "one is the champion again" in done.text
    async with workplace.store.begin() as tx:
        assert (await standing(tx)).champion_id == "one"


async def test_people_have_their_own_questions_forgotten(workplace: Workplace) -> None:
    answer = await workplace.ask("How do I export the aubergine report?", user=JONAS)
    shown = await say(workplace, JONAS, "forget")
    assert "about you" in shown.text
    done = await press(workplace, shown)
    assert "1 questions" in done.text
    await workplace.settle()
    async with workplace.store.begin() as tx:
        rows = await tx.connection.scalar(
            text("select count(*) from inbox where payload::text ilike '%aubergine%'")
        )
        assert rows == 0
        erased = await tx.conversations.by_answer(workplace.team, answer.channel, answer.ts)
    assert erased is not None
    assert (erased.question, erased.answer, erased.asker == JONAS) == ("", None, False)


@pytest.mark.parametrize(
    ("line", "age", "frozen", "said"),
    [
        ("freeze at last", timedelta(hours=3), True, "Frozen"),
        ("freeze", timedelta(seconds=20), True, "Frozen"),
        ("status", timedelta(seconds=20), False, "Status"),
        ("status", CONFIRM_WITHIN + timedelta(minutes=1), False, "could not look"),
        ("unfreeze", CONFIRM_WITHIN + timedelta(minutes=1), False, "could not look"),
    ],
)
async def test_what_a_dead_listener_left_is_obeyed_or_reported(
    workplace: Workplace, line: str, age: timedelta, frozen: bool, said: str
) -> None:
    body = {
        "command": COMMAND,
        "text": line,
        "team_id": workplace.team,
        "user_id": JONAS,
        "channel_id": SUPPORT,
        "response_url": "http://127.0.0.1:9/gone",
    }
    received = (SystemClock().now() - age).timestamp()
    async with workplace.store.begin() as tx:
        await tx.inbox.add(replace(to_delivery(body, received), defer_s=0.0))
    workplace.bot.workers.wake()
    await workplace.settle()
    async with workplace.store.begin() as tx:
        assert (await tx.routing.route()).frozen is frozen
        assert len(await tx.audit.entries()) == int(frozen)
    direct = await workplace.people.open_dm(user=JONAS)
    (message,) = [m for m in await workplace.people.messages(channel=direct) if m.is_app]
    assert said in message.text


async def test_a_forged_button_is_refused(workplace: Workplace) -> None:
    shown = await say(workplace, JONAS, "forget")
    async with workplace.store.begin() as tx:
        await tx.connection.execute(text("update confirmations set team = 'T0OTHER'"))
    refused = await press(workplace, shown)
    assert "cannot find" in refused.text


async def test_a_confirmed_click_that_a_dead_listener_left_has_one_effect(
    workplace: Workplace,
) -> None:
    await set_stage(workplace.store)
    await say(workplace, JONAS, "promote it is ready")
    async with workplace.store.begin() as tx:
        asked = await tx.connection.scalar(text("select id from confirmations"))
        for trigger in ("first", "second"):
            body = {
                "type": "block_actions",
                "team": {"id": workplace.team},
                "user": {"id": JONAS},
                "trigger_id": trigger,
                "actions": [{"action_id": CONFIRM_ACTION, "value": f'{{"k":"{asked}"}}'}],
            }
            stored = to_delivery(body, SystemClock().now().timestamp())
            await tx.inbox.add(replace(stored, defer_s=0.0))
    workplace.bot.workers.wake()
    await workplace.settle()
    async with workplace.store.begin() as tx:
        requests = await tx.connection.scalar(text("select count(*) from promotion_requests"))
    assert requests == 1
    direct = await workplace.people.open_dm(user=JONAS)
    said = [m.text for m in await workplace.people.messages(channel=direct) if m.is_app]
    assert sorted(text.split(":")[0] for text in said) == ["Asked for", "That was decided already"]
