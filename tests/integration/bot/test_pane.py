"""The agent pane and the shortcut: other ways to ask, and what people have in sight."""

import json

from slack_bolt.request.async_request import AsyncBoltRequest

from bot.slack.views.blocks import neutral
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

QUESTION = "How do I export a report?"


async def add_document(place: Workplace, title: str, *, audience: str | None = None) -> None:
    async with place.store.begin() as tx:
        await tx.connection.exec_driver_sql(
            "insert into documents (doc_id, title, audience, content_hash, indexed_at) "
            "values (%(title)s, %(title)s, %(audience)s, '', now())",
            {"title": title, "audience": audience},
        )


async def offered(place: Workplace, channel: str) -> list[dict[str, str]]:
    """Waits for the prompts in a conversation."""

    async def there() -> bool:
        return channel in place.sandbox.sandbox.presence.prompts

    await until(there)
    prompts: list[dict[str, str]] = place.sandbox.sandbox.presence.prompts[channel]["prompts"]
    return prompts


async def test_the_pane_offers_what_several_people_asked_and_documents(
    workplace: Workplace,
) -> None:
    await workplace.ask(QUESTION, user=AMIRA)
    await workplace.ask(QUESTION, user=BEN)
    await workplace.ask("Where is my own thing?", user=BEN)
    await add_document(workplace, "Refunds <!here>")
    await add_document(workplace, "Salaries", audience="board")
    channel = await workplace.people.open_home(user=GRACE, tab="messages")
    prompts = await offered(workplace, channel)
    assert [prompt["message"] for prompt in prompts] == [
        QUESTION,
        f"What do I need to know about “Refunds {neutral('<!here>')}”?",
    ]


async def test_an_opened_conversation_without_anything_to_offer_is_left_alone(
    workplace: Workplace,
) -> None:
    await workplace.people.open_home(user=GRACE, tab="messages")
    await workplace.settle()
    calls = workplace.sandbox.sandbox.faults.calls
    assert "assistant.threads.setSuggestedPrompts" not in calls
    assert "views.publish" not in calls, "that tab is no home"


async def event(place: Workplace, inner: dict[str, object]) -> None:
    body = {
        "type": "event_callback",
        "event_id": f"Ev{json.dumps(inner)}",
        "team_id": place.team,
        "authorizations": [{"user_id": BOT}],
        "event": inner,
    }
    answer = await place.bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
    assert answer.status == 200


async def test_what_people_look_at_is_remembered_as_ids(workplace: Workplace) -> None:
    entity = {"type": "slack#/types/channel_id", "value": SUPPORT, "team_id": workplace.team}
    odd = {"type": "slack#/types/text", "value": "A whole sentence of somebody"}
    change = {"type": "app_context_changed", "user": AMIRA, "context": {"entities": [entity, odd]}}
    await event(workplace, {**change, "event_ts": "1700000000.000200"})
    await event(workplace, {**change, "context": {}, "event_ts": "1700000000.000100"})
    await workplace.settle()
    async with workplace.store.begin() as tx:
        seen = await tx.turns.looked_at(workplace.team, AMIRA)
    assert seen == [{"type": "slack#/types/channel_id", "value": SUPPORT}], "the newest event wins"


async def test_a_message_is_asked_by_shortcut_once(workplace: Workplace) -> None:
    people = workplace.people
    asked = await people.post(user=AMIRA, channel=SUPPORT, text=QUESTION)
    await workplace.settle()
    assert await workplace.answers(asked.ts) == []
    for user in (BEN, GRACE):
        acted = await people.shortcut(user=user, message=asked, callback_id="ask_understudy")
        assert acted.acked
    answer = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    await workplace.settle()
    assert [message.text for message in await workplace.answers(asked.ts)] == [ANSWER]
    interaction = await workplace.interaction(answer)
    assert (interaction.asker, interaction.state) == (AMIRA, InteractionState.POSTED)
    note = await people.wait_for_ephemeral(user=GRACE, channel=SUPPORT, thread_ts=asked.ts)
    assert "already" in note.text


async def test_a_reply_asked_by_shortcut_is_answered_in_its_thread(workplace: Workplace) -> None:
    people = workplace.people
    root = await people.post(user=AMIRA, channel=SUPPORT, text="Hello everybody")
    reply = await people.post(user=BEN, channel=SUPPORT, text=QUESTION, thread_ts=root.ts)
    await people.shortcut(user=GRACE, message=reply, callback_id="ask_understudy")
    answer = await people.wait_for_reply(channel=SUPPORT, thread_ts=root.ts, after_ts=reply.ts)
    assert answer.text == ANSWER


async def test_own_answers_are_no_questions(workplace: Workplace) -> None:
    answer = await workplace.ask(QUESTION)
    await workplace.people.shortcut(user=BEN, message=answer, callback_id="ask_understudy")
    note = await workplace.people.wait_for_ephemeral(
        user=BEN, channel=SUPPORT, thread_ts=answer.thread_ts
    )
    assert "my own" in note.text
    await workplace.settle()
    assert len(await workplace.answers(str(answer.thread_ts))) == 1


async def test_a_shortcut_where_the_bot_may_not_speak_is_answered_in_private(
    workplace: Workplace,
) -> None:
    people = workplace.people
    asked = await people.post(user=AMIRA, channel=SUPPORT, text=QUESTION)
    await people.fault(
        method="chat.postMessage", kind="error", code="not_in_channel", channel=SUPPORT, times=None
    )
    await people.shortcut(user=BEN, message=asked, callback_id="ask_understudy")
    channel = await people.open_dm(user=BEN)

    async def told() -> bool:
        return any(m.is_app for m in await people.messages(channel=channel))

    await until(told)
    amiras = await people.open_dm(user=AMIRA)
    assert not await people.messages(channel=amiras), "she did not ask"
