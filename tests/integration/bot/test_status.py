"""The status says that the bot is at work, and is never left standing."""

from collections.abc import AsyncIterator, Sequence

import pytest

from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from feedback.domain.interaction import Interaction, InteractionState
from feedback.errors import UnavailableError, UnderstudyError
from feedback.ports import Message
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import AMIRA, ANSWER, BOT, SUPPORT, Library, MakeBot
from tests.integration.bot.gated import GatedGenerator
from tests.waiting import until

LONG = "First open the settings of your workspace and look for the list of reports. " * 5


@pytest.fixture
async def people(sandbox: RunningSandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.url) as client:
        yield client


async def statuses(people: SandboxClient) -> list[object]:
    return list((await people.state())["statuses"])


async def ask(people: SandboxClient) -> SandboxMessage:
    return await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?")


async def closed(store: Store, asked: SandboxMessage) -> Interaction:
    """Waits until nothing is owed for a question any more."""
    found: list[Interaction] = []

    async def done() -> bool:
        async with store.begin() as tx:
            known = await tx.conversations.by_question("T0SANDBOX1", asked.channel, asked.ts)
            found[:] = [known] if known else []
            owed = {InteractionState.PENDING, InteractionState.ANSWERED}
            return known is not None and (
                known.state not in owed and await tx.inbox.open_count() == 0
            )

    await until(done)
    return found[0]


async def leave_a_status(sandbox: RunningSandbox, asked: SandboxMessage) -> None:
    """Does what a process did that died afterwards."""
    presence = sandbox.sandbox.presence
    presence.sessions[asked.channel, asked.ts] = {"status": "processing", "title": ""}


@pytest.mark.parametrize("code", [None, "unknown_method", "internal_error"])
async def test_a_slow_answer_shows_a_status_that_ends_with_it(
    people: SandboxClient, store: Store, make_bot: MakeBot, code: str | None
) -> None:
    if code:
        await people.fault(method="agents.sessions.setStatus", kind="error", code=code, times=None)
    model = GatedGenerator(after=ANSWER)
    async with make_bot(model, Library()):
        asked = await ask(people)

        async def shown() -> bool:
            return bool(await statuses(people))

        await until(shown)
        model.gate.set()
        interaction = await closed(store, asked)
        assert interaction.state is InteractionState.POSTED
        assert await statuses(people) == []


async def test_a_status_call_that_is_still_on_its_way_does_not_outlive_the_answer(
    people: SandboxClient, store: Store, make_bot: MakeBot, sandbox: RunningSandbox
) -> None:
    for method in ("agents.sessions.setStatus", "assistant.threads.setStatus"):
        await people.fault(method=method, kind="delay", delay_s=0.5)
    model = GatedGenerator(after=ANSWER)
    async with make_bot(model, Library()):
        asked = await ask(people)

        async def on_its_way() -> bool:
            return "agents.sessions.setStatus" in sandbox.sandbox.faults.calls

        await until(on_its_way)
        model.gate.set()
        await closed(store, asked)
        assert await statuses(people) == []


async def test_what_a_dead_process_left_is_cleared_by_its_successor(
    people: SandboxClient, store: Store, make_bot: MakeBot, sandbox: RunningSandbox
) -> None:
    model = FakeTextGenerator([UnavailableError("down", retry_after=0.3), ANSWER])
    async with make_bot(model, Library()):
        asked = await ask(people)

        async def tried() -> bool:
            return len(model.calls) == 1

        await until(tried)
        await leave_a_status(sandbox, asked)
        assert (await closed(store, asked)).state is InteractionState.POSTED
        assert await statuses(people) == []


@pytest.mark.parametrize("says", ["error", "nothing"])
async def test_a_question_that_is_given_up_leaves_no_status(
    people: SandboxClient, store: Store, make_bot: MakeBot, sandbox: RunningSandbox, says: str
) -> None:
    def model(_: Sequence[Message], __: str | None) -> str | UnderstudyError:
        return UnavailableError("down", retry_after=0.3) if says == "error" else " "

    generator = FakeTextGenerator(model)
    async with make_bot(generator, Library()):
        asked = await ask(people)

        async def tried() -> bool:
            return len(generator.calls) >= 1

        await until(tried)
        await leave_a_status(sandbox, asked)
        assert (await closed(store, asked)).state is InteractionState.FAILED
        assert await statuses(people) == []


async def test_a_stop_that_nobody_works_on_clears_what_is_left(
    people: SandboxClient, store: Store, make_bot: MakeBot, sandbox: RunningSandbox
) -> None:
    async with make_bot(FakeTextGenerator([ANSWER]), Library()):
        asked = await ask(people)
        await closed(store, asked)
        await leave_a_status(sandbox, asked)
        await people.stop_session(user=AMIRA, channel=SUPPORT, thread_ts=asked.ts)

        async def cleared() -> bool:
            return await statuses(people) == []

        await until(cleared)
        assert (await closed(store, asked)).state is InteractionState.POSTED


async def test_a_half_written_answer_that_is_given_up_becomes_the_apology(
    people: SandboxClient, store: Store, make_bot: MakeBot
) -> None:
    class Breaking(GatedGenerator):
        async def stream(self, messages, *, adapter, options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            yield LONG
            await self.gate.wait()
            raise UnavailableError("the model server died", retry_after=0.05)

    model = Breaking()
    async with make_bot(model, Library()):
        channel = await people.open_dm(user=AMIRA)
        asked = await people.post(user=AMIRA, channel=channel, text="How to export?")

        async def streaming() -> bool:
            async with store.begin() as tx:
                known = await tx.conversations.by_question("T0SANDBOX1", channel, asked.ts)
            return known is not None and known.answer_ts is not None

        await until(streaming)
        model.gate.set()
        assert (await closed(store, asked)).state is InteractionState.FAILED
        thread = await people.messages(channel=channel, thread_ts=asked.ts)
        (message,) = [m for m in thread if m.is_app]
        assert "incident" in message.text
        assert not message.streaming
        assert await statuses(people) == []


async def test_an_apology_that_did_not_get_through_is_made_up_for(
    people: SandboxClient, store: Store, make_bot: MakeBot
) -> None:
    def down(_: Sequence[Message], __: str | None) -> UnderstudyError:
        return UnavailableError("down", retry_after=0.01)

    await people.fault(method="chat.postMessage", kind="cut", times=2)
    async with make_bot(FakeTextGenerator(down), Library()) as bot:
        asked = await ask(people)

        async def given_up() -> bool:
            async with store.begin() as tx:
                known = await tx.conversations.by_question("T0SANDBOX1", SUPPORT, asked.ts)
            return known is not None and known.state is InteractionState.FAILED

        await until(given_up)
        apologies: list[SandboxMessage] = []

        async def apologised() -> bool:
            if bot.workers._active:
                return False
            async with store.begin() as tx:
                # Nobody works on it, and its lease runs out: no need to wait for that.
                await tx.connection.exec_driver_sql(
                    "update inbox set lease_until = now() - interval '1 second', "
                    "available_at = now() where state in ('ready', 'leased')"
                )
            bot.workers.wake()
            thread = await people.messages(channel=SUPPORT, thread_ts=asked.ts)
            apologies[:] = [message for message in thread if message.is_app]
            return bool(apologies)

        await until(apologised)
        await closed(store, asked)
        thread = await people.messages(channel=SUPPORT, thread_ts=asked.ts)
        said = [message.text for message in thread if message.is_app]
        assert len([text for text in said if "incident" in text]) == 1
