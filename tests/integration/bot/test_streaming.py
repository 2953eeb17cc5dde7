"""Long answers in direct messages are streamed; every way to fail ends with the whole answer."""

from collections.abc import AsyncIterator

import pytest

from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from feedback.domain.interaction import InteractionState
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import AMIRA, Library, MakeBot, until

LONG = " ".join(f"Step {n}: open <menu> number {n} & press Export." for n in range(1, 31))
ESCAPED = LONG.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.fixture
async def people(sandbox: RunningSandbox, make_bot: MakeBot) -> AsyncIterator[SandboxClient]:
    async with (
        make_bot(FakeTextGenerator([LONG]), Library()),
        SandboxClient(sandbox.url) as client,
    ):
        yield client


async def ask(people: SandboxClient, store: Store) -> list[SandboxMessage]:
    channel = await people.open_dm(user=AMIRA)
    asked = await people.post(user=AMIRA, channel=channel, text="How to export?")

    async def posted() -> bool:
        async with store.begin() as tx:
            found = await tx.conversations.by_question("T0SANDBOX1", channel, asked.ts)
        return found is not None and found.state is InteractionState.POSTED

    await until(posted)
    thread = await people.messages(channel=channel, thread_ts=asked.ts)
    return [message for message in thread if message.is_app]


def calls(sandbox: RunningSandbox) -> dict[str, int]:
    return sandbox.sandbox.faults.calls


def shown(message: SandboxMessage) -> str:
    return str(message.raw)


async def test_a_long_answer_streams(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    (answer,) = await ask(people, store)
    assert answer.text == ESCAPED
    assert "feedback_buttons" in shown(answer)
    assert calls(sandbox)["chat.startStream"] == 1
    assert calls(sandbox)["chat.stopStream"] == 1
    assert "chat.postMessage" not in calls(sandbox)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("chat.startStream", "missing_recipient_team_id"),
        ("chat.startStream", "unknown_method"),
        ("chat.startStream", "internal_error"),
        ("chat.appendStream", "message_not_in_streaming_state"),
        ("chat.appendStream", "internal_error"),
        ("chat.stopStream", "message_not_in_streaming_state"),
    ],
)
async def test_a_broken_stream_ends_with_the_whole_answer(
    people: SandboxClient, store: Store, method: str, code: str
) -> None:
    await people.fault(method=method, kind="error", code=code)
    (answer,) = await ask(people, store)
    assert ESCAPED in shown(answer)
    assert "feedback_buttons" in shown(answer)


async def test_a_message_that_cannot_be_replaced_is_posted_anew(
    people: SandboxClient, store: Store
) -> None:
    await people.fault(method="chat.appendStream", kind="error", code="message_not_found")
    await people.fault(method="chat.update", kind="error", code="cant_update_message")
    answers = await ask(people, store)
    assert ESCAPED in shown(answers[-1])


async def test_streaming_is_latched_off_where_it_is_unknown(
    people: SandboxClient, store: Store, sandbox: RunningSandbox
) -> None:
    await people.fault(method="chat.startStream", kind="error", code="unknown_method", times=None)
    await ask(people, store)
    await ask(people, store)
    assert calls(sandbox)["chat.startStream"] == 1
