"""Long answers in direct messages are streamed; every way to fail ends with the whole answer."""

import json
import re
from collections.abc import AsyncIterator

import pytest

from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from feedback.domain.interaction import Interaction, InteractionState
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import AMIRA, ANSWER, BOT, SUPPORT, Library, MakeBot
from tests.waiting import until

TEAM = "T0SANDBOX1"
LONG = " ".join(f"Step {n}: open <menu> number {n} & press Export." for n in range(1, 31))
HOSTILE = f"{ANSWER} <!here> <!channel> <@{AMIRA}> <#{SUPPORT}> <!subteam^S1> & so on. " * 8
CODE = "\n".join(f"step({n}).of(everything).in_order(a&b<c)" for n in range(150))
VERY_LONG = f"{ANSWER}\n\n" + "\n\n".join([LONG, f"```python\n{CODE}\n```", LONG])


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.fixture
def model() -> FakeTextGenerator:
    return FakeTextGenerator([LONG])


@pytest.fixture
async def people(
    sandbox: RunningSandbox, make_bot: MakeBot, model: FakeTextGenerator
) -> AsyncIterator[SandboxClient]:
    async with make_bot(model, Library()), SandboxClient(sandbox.url) as client:
        yield client


async def ask(
    people: SandboxClient, store: Store, state: InteractionState = InteractionState.POSTED
) -> tuple[list[SandboxMessage], Interaction]:
    """Asks in a direct message; returns what the bot said, once it is done and nothing is shown."""
    channel = await people.open_dm(user=AMIRA)
    asked = await people.post(user=AMIRA, channel=channel, text="How to export?")
    found: list[Interaction] = []

    async def done() -> bool:
        async with store.begin() as tx:
            known = await tx.conversations.by_question(TEAM, channel, asked.ts)
            found[:] = [known] if known else []
            open_rows = await tx.inbox.open_count()
        return bool(found) and found[0].state is state and not open_rows

    await until(done)
    shown = (await people.state())["statuses"]
    assert shown == [], "no status is left standing"
    thread = await people.messages(channel=channel, thread_ts=asked.ts)
    return [message for message in thread if message.is_app], found[0]


def calls(sandbox: RunningSandbox) -> dict[str, int]:
    return sandbox.sandbox.faults.calls


def shown(message: SandboxMessage) -> str:
    return str(message.raw)


def text_of(messages: list[SandboxMessage]) -> str:
    """Returns everything people read, without white space and repeated code fences."""
    text = "".join(message.text for message in messages)
    return re.sub(r"\s+|```(?:python)?", "", text)


async def test_a_long_answer_streams(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    (answer,), interaction = await ask(people, store)
    assert answer.text == escaped(LONG)
    assert answer.ts == interaction.answer_ts
    assert "feedback_buttons" in shown(answer)
    assert calls(sandbox)["chat.startStream"] == 1
    assert calls(sandbox)["chat.stopStream"] == 1
    assert "chat.postMessage" not in calls(sandbox)


async def test_readers_see_the_steps_and_what_was_found(
    people: SandboxClient, store: Store
) -> None:
    (answer,), _ = await ask(people, store)
    plan = next(block for block in answer.blocks if block["type"] == "plan")
    search, write = plan["tasks"]
    assert (search["title"], search["status"]) == ("Searching the documents", "complete")
    assert [source["url"] for source in search["sources"]] == ["https://docs.example/export"]
    assert (write["title"], write["status"]) == ("Writing the answer", "complete")


async def test_a_short_answer_is_one_post(
    people: SandboxClient, store: Store, sandbox: RunningSandbox, model: FakeTextGenerator
) -> None:
    model._script = lambda _messages, _adapter: ANSWER
    (answer,), _ = await ask(people, store)
    assert answer.text == ANSWER
    assert "chat.startStream" not in calls(sandbox)
    assert calls(sandbox)["chat.postMessage"] == 1


async def test_a_broken_stream_ends_with_the_whole_answer(
    people: SandboxClient, store: Store
) -> None:
    for method, code in (
        ("chat.startStream", "missing_recipient_team_id"),
        ("chat.startStream", "internal_error"),
        ("chat.appendStream", "message_not_in_streaming_state"),
        ("chat.appendStream", "internal_error"),
        ("chat.stopStream", "message_not_in_streaming_state"),
        ("chat.stopStream", "internal_error"),
        ("chat.stopStream", "invalid_blocks"),
        ("chat.startStream", "unknown_method"),  # the last: it turns streaming off
    ):
        await people.fault(method=method, kind="error", code=code)
        (answer,), interaction = await ask(people, store)
        assert escaped(LONG) in shown(answer), (method, code)
        assert answer.ts == interaction.answer_ts
        assert "feedback_buttons" in shown(answer), (method, code)
        assert "docs.example/export" in shown(answer), (method, code)


async def test_a_message_that_cannot_be_replaced_is_posted_anew(
    people: SandboxClient, store: Store
) -> None:
    await people.fault(method="chat.appendStream", kind="error", code="message_not_found")
    await people.fault(method="chat.update", kind="error", code="cant_update_message")
    answers, interaction = await ask(people, store)
    assert escaped(LONG) in shown(answers[-1])
    assert answers[-1].ts == interaction.answer_ts


async def test_streaming_is_latched_off_where_it_is_unknown(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    await people.fault(method="chat.startStream", kind="error", code="unknown_method", times=None)
    await ask(people, store)
    await ask(people, store)
    assert calls(sandbox)["chat.startStream"] == 1


async def test_a_very_long_answer_is_several_posts_with_buttons_on_the_last(
    people: SandboxClient, store: Store, model: FakeTextGenerator
) -> None:
    model._script = lambda _messages, _adapter: VERY_LONG
    for broken in (None, "chat.startStream", "chat.stopStream"):
        if broken:
            await people.fault(method=broken, kind="error", code="internal_error")
        answers, interaction = await ask(people, store)
        assert len(answers) > 2
        assert text_of(answers) == re.sub(r"\s+|```(?:python)?", "", escaped(VERY_LONG))
        assert all(message.text.count("```") % 2 == 0 for message in answers)
        assert all(len(message.text) <= 3500 for message in answers)
        thumbs = ["feedback_buttons" in shown(message) for message in answers]
        assert thumbs == [False] * (len(answers) - 1) + [True]
        assert answers[-1].ts == interaction.answer_ts
        assert not any(message.streaming for message in answers)


async def test_no_rung_lets_an_answer_call_people(
    people: SandboxClient, store: Store, model: FakeTextGenerator
) -> None:
    model._script = lambda _messages, _adapter: HOSTILE
    for faults in (
        [],
        [("chat.startStream", "internal_error")],
        [("chat.stopStream", "message_not_in_streaming_state")],
        [("chat.startStream", "internal_error"), ("chat.postMessage", "invalid_blocks")],
    ):
        for method, code in faults:
            await people.fault(method=method, kind="error", code=code)
        answers, _ = await ask(people, store)
        assert answers
        for message in answers:
            said = [message.text, *(block.get("text", "") for block in message.blocks)]
            assert not re.search(r"<[@!#]", json.dumps(said)), faults
            assert f"&lt;@{AMIRA}&gt;" in message.text


async def test_a_reader_who_stopped_the_stream_gets_no_more(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    await people.fault(method="chat.stopStream", kind="error", code="stopped_by_user")
    (message,), interaction = await ask(people, store, InteractionState.STOPPED)
    assert "feedback_buttons" not in shown(message)
    assert interaction.answer == LONG
    assert "chat.update" not in calls(sandbox)


async def test_a_stream_that_died_of_age_is_replaced(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    object.__setattr__(sandbox.sandbox.settings, "stream_life_s", -1.0)
    (answer,), _ = await ask(people, store)
    assert answer.text == escaped(LONG)
    assert "feedback_buttons" in shown(answer)


async def test_channels_get_the_answer_in_one_piece(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?")
    answer = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    assert answer.text == escaped(LONG)
    assert "chat.startStream" not in calls(sandbox)
