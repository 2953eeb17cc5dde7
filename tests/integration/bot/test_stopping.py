"""Stop, edits and deletions while an answer is written. One worker: none is free to help."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.runtime import Bot
from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from bot.slack.payloads import moment_of
from feedback.domain.interaction import Interaction, InteractionState
from feedback.errors import UnavailableError
from feedback.serving.fake import FakeTextGenerator
from feedback.settings import Settings
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BEN,
    BOT,
    SUPPORT,
    Library,
    MakeBot,
    settle,
)
from tests.integration.bot.gated import GatedGenerator
from tests.waiting import until

TEAM = "T0SANDBOX1"
HALF = "First open the settings of your workspace and look for the list of reports. " * 5


@pytest.fixture
def settings(settings: Settings) -> Settings:
    bot = settings.bot.model_copy(update={"workers": 1})
    return settings.model_copy(update={"bot": bot})


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A bot with one worker and a model that waits."""

    people: SandboxClient
    store: Store
    sandbox: RunningSandbox
    model: GatedGenerator
    bot: Bot

    async def ask(self, text: str = "How do I export?", channel: str = "") -> SandboxMessage:
        channel = channel or await self.people.open_dm(user=AMIRA)
        asked = await self.people.post(user=AMIRA, channel=channel, text=text)
        async with asyncio.timeout(15):
            await self.model.reached.wait()
        return asked

    async def find(self, asked: SandboxMessage) -> Interaction | None:
        async with self.store.begin() as tx:
            return await tx.conversations.by_question(TEAM, asked.channel, asked.ts)

    async def state(self, asked: SandboxMessage, wanted: InteractionState) -> Interaction:
        async def reached() -> bool:
            found = await self.find(asked)
            return found is not None and found.state is wanted

        await until(reached)
        await self.idle()
        found = await self.find(asked)
        assert found is not None
        return found

    async def idle(self) -> None:
        await settle(self.people, self.store)

    async def streamed(self, asked: SandboxMessage) -> SandboxMessage:
        """Returns the half-written answer once people see it."""
        found: list[SandboxMessage] = []

        async def visible() -> bool:
            found[:] = await self.said(asked)
            known = await self.find(asked)
            return bool(found) and known is not None and known.answer_ts is not None

        await until(visible)
        return found[0]

    async def said(self, asked: SandboxMessage) -> list[SandboxMessage]:
        thread = await self.people.messages(channel=asked.channel, thread_ts=asked.ts)
        return [message for message in thread if message.is_app]

    def session(self, asked: SandboxMessage) -> str:
        session = self.sandbox.sandbox.presence.sessions.get((asked.channel, asked.ts), {})
        return str(session.get("status", "none"))


@pytest.fixture
async def desk(sandbox: RunningSandbox, store: Store, make_bot: MakeBot) -> AsyncIterator[Desk]:
    model = GatedGenerator(before=HALF)
    async with make_bot(model, Library()) as bot, SandboxClient(sandbox.url) as people:
        yield Desk(people=people, store=store, sandbox=sandbox, model=model, bot=bot)


async def test_stop_ends_the_generation_at_once_and_keeps_what_there_is(desk: Desk) -> None:
    asked = await desk.ask()
    shown = await desk.streamed(asked)
    assert desk.session(asked) == "processing"
    assert await desk.people.stop_session(user=AMIRA, channel=asked.channel, thread_ts=asked.ts)
    stopped = await desk.state(asked, InteractionState.STOPPED)
    assert desk.model.listening == 0, "the model's slot is free"
    assert stopped.answer == HALF.strip()
    assert (stopped.answer_ts, stopped.experiment_id) == (shown.ts, None)
    (message,) = await desk.said(asked)
    assert "feedback_buttons" not in str(message.raw)
    assert "Done." not in message.text
    assert desk.session(asked) == "active"


async def test_stop_before_anything_is_shown_is_confirmed(desk: Desk) -> None:
    desk.model.before = ""
    asked = await desk.ask(f"<@{BOT}> how to export?", channel=SUPPORT)
    await desk.people.stop_session(user=AMIRA, channel=asked.channel, thread_ts=asked.ts)
    stopped = await desk.state(asked, InteractionState.STOPPED)
    assert stopped.answer is None
    assert [message.text for message in await desk.said(asked)] == ["Okay, I stopped."]
    assert desk.model.listening == 0
    assert desk.session(asked) == "active"


async def test_a_stop_that_another_process_heard_is_obeyed(desk: Desk) -> None:
    asked = await desk.ask()
    await desk.streamed(asked)
    async with desk.store.begin() as tx:
        await tx.turns.stop(f"{TEAM}:{asked.channel}:{asked.ts}", f"{float(asked.ts) + 60:.6f}")
    await desk.state(asked, InteractionState.STOPPED)
    assert desk.model.listening == 0
    (message,) = await desk.said(asked)
    assert not message.streaming
    assert desk.session(asked) == "active"


async def test_two_processes_stop_each_others_answers(desk: Desk, make_bot: MakeBot) -> None:
    # Slack tells either of them of a stop, and either may hold the answer.
    async with make_bot(desk.model, Library()):
        for _ in range(4):
            asked = await desk.ask()
            await desk.streamed(asked)
            await desk.people.stop_session(user=AMIRA, channel=asked.channel, thread_ts=asked.ts)
            await desk.state(asked, InteractionState.STOPPED)
            assert desk.model.listening == 0
            assert desk.session(asked) == "active"
            desk.model.reached.clear()


async def test_what_was_stopped_is_not_answered_by_a_later_try(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> None:
    model = FakeTextGenerator([UnavailableError("down", retry_after=60), ANSWER])
    async with make_bot(model, Library()) as bot, SandboxClient(sandbox.url) as people:
        desk = Desk(people=people, store=store, sandbox=sandbox, model=GatedGenerator(), bot=bot)
        asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?")

        async def failed_once() -> bool:
            async with store.begin() as tx:
                error = await tx.connection.exec_driver_sql("select error from inbox")
                return any(row[0] for row in error)

        await until(failed_once)
        await people.stop_session(user=AMIRA, channel=SUPPORT, thread_ts=asked.ts)
        async with store.begin() as tx:
            await tx.connection.exec_driver_sql("update inbox set available_at = now()")
        bot.workers.wake()
        await desk.state(asked, InteractionState.STOPPED)
        assert len(model.calls) == 1
        later = await people.post(
            user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> and now?", thread_ts=asked.ts
        )
        answer = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts, after_ts=later.ts)
        assert answer.text == ANSWER, "a stop is about what was asked before it"


async def test_a_deleted_question_takes_its_half_written_answer_back(desk: Desk) -> None:
    asked = await desk.ask()
    await desk.streamed(asked)
    await desk.people.delete(user=AMIRA, message=asked)
    erased = await desk.state(asked, InteractionState.ERASED)
    assert (erased.question, erased.answer) == ("", None)
    assert await desk.said(asked) == []
    assert desk.model.listening == 0


async def test_what_a_dead_worker_wrote_of_a_deleted_question_is_taken_back(desk: Desk) -> None:
    asked = await desk.ask()
    await desk.streamed(asked)
    ((_, task),) = desk.bot.workers._active.values()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await desk.said(asked)) == 1
    async with desk.store.begin() as tx:
        await tx.conversations.erase_question(TEAM, asked.channel, asked.ts)
        await tx.connection.exec_driver_sql(
            "update inbox set lease_until = now() - interval '1 second'"
        )
    desk.bot.workers.wake()
    await desk.idle()
    assert await desk.said(asked) == []
    assert desk.session(asked) == "active"


async def test_a_question_edited_while_it_is_answered_is_answered_as_it_is_now(
    desk: Desk,
) -> None:
    asked = await desk.ask()
    await desk.streamed(asked)
    await desk.people.edit(user=AMIRA, message=asked, text="How do I import?")

    async def asked_again() -> bool:
        return len(desk.model.asked) == 2

    await until(asked_again)
    desk.model.gate.set()
    answered = await desk.state(asked, InteractionState.POSTED)
    assert answered.question == "How do I import?"
    assert "import" in desk.model.asked[1]
    (message,) = await desk.said(asked)
    assert message.text == HALF + "Done."
    assert "feedback_buttons" in str(message.raw)
    assert desk.session(asked) == "active"


async def test_a_question_edited_while_it_waits_is_answered_as_it_is_now(desk: Desk) -> None:
    first = await desk.ask()
    second = await desk.people.post(user=BEN, channel=SUPPORT, text=f"<@{BOT}> how do I exprot?")
    await desk.people.edit(user=BEN, message=second, text=f"<@{BOT}> how do I import?")
    await desk.people.edit(user=BEN, message=second, text=f"<@{BOT}> how do I merge?")
    await desk.people.wait_until_settled()
    desk.model.gate.set()
    await desk.state(first, InteractionState.POSTED)
    answered = await desk.state(second, InteractionState.POSTED)
    assert answered.question == "how do I merge?"
    assert len(await desk.said(second)) == 1


Dispatch = Callable[[Mapping[str, object]], Awaitable[int]]


@pytest.fixture
def dispatch(desk: Desk) -> Dispatch:
    async def send(event: Mapping[str, object]) -> int:
        body = {
            "type": "event_callback",
            "event_id": f"Ev{event['event_ts']}",
            "team_id": TEAM,
            "authorizations": [{"user_id": BOT}],
            "event": event,
        }
        answer = await desk.bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
        return answer.status

    return send


async def test_a_question_that_was_deleted_before_it_came_is_not_answered(
    desk: Desk, dispatch: Dispatch
) -> None:
    desk.model.gate.set()
    asked = await desk.people.post(user=AMIRA, channel=SUPPORT, text="hello")
    await desk.people.wait_until_settled()
    await desk.idle()
    async with desk.store.begin() as tx:
        await tx.connection.exec_driver_sql("delete from inbox")
    message = {"user": AMIRA, "ts": asked.ts, "text": f"<@{BOT}> How do I import?"}
    deletion = {
        "type": "message",
        "subtype": "message_deleted",
        "channel": SUPPORT,
        "channel_type": "channel",
        "deleted_ts": asked.ts,
        "previous_message": {**message, "type": "message"},
        "event_ts": f"{float(asked.ts) + 2:.6f}",
    }
    late = {"channel": SUPPORT, "channel_type": "channel", "event_ts": asked.ts, **message}
    assert await dispatch(deletion) == 200
    await desk.idle()
    for kind in ("message", "app_mention"):
        assert await dispatch({**late, "type": kind}) == 200
    assert await dispatch({**deletion, "event_ts": f"{float(asked.ts) + 3:.6f}"}) == 200
    await desk.idle()
    assert await desk.find(asked) is None
    assert await desk.said(asked) == []
    assert desk.model.asked == []


@pytest.mark.parametrize("mention", [f"<@{BOT}> ", ""], ids=["mention", "follow-up"])
async def test_an_edit_that_overtakes_its_question_is_the_question(
    desk: Desk, dispatch: Dispatch, mention: str
) -> None:
    desk.model.gate.set()
    root = await desk.people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How do I export?")
    await desk.people.wait_for_reply(channel=SUPPORT, thread_ts=root.ts)
    await desk.idle()
    ts = f"{float(root.ts) + 5:.6f}"
    message = {
        "user": AMIRA,
        "ts": ts,
        "thread_ts": root.ts,
        "text": f"{mention}How do I import?",
        "type": "message",
    }
    original = {**message, "text": f"{mention}How do I exprot?"}
    place = {"channel": SUPPORT, "channel_type": "channel"}
    edit = {
        "type": "message",
        "subtype": "message_changed",
        **place,
        "message": {**message, "edited": {"ts": f"{float(ts) + 2:.6f}"}},
        "previous_message": original,
        "event_ts": f"{float(ts) + 2:.6f}",
    }
    assert await dispatch(edit) == 200
    await desk.idle()
    assert await dispatch({**original, **place, "event_ts": ts}) == 200
    await desk.idle()
    async with desk.store.begin() as tx:
        found = await tx.conversations.by_question(TEAM, SUPPORT, ts)
    assert found is not None
    assert (found.question, found.state) == ("How do I import?", InteractionState.POSTED)


@pytest.mark.parametrize("change", ["edit", "deletion"])
async def test_a_change_that_meets_its_question_while_it_is_stored_is_not_lost(
    desk: Desk, dispatch: Dispatch, change: str
) -> None:
    asked = await desk.people.post(user=AMIRA, channel=SUPPORT, text="hello")
    await desk.people.wait_until_settled()
    await desk.idle()
    message = {"user": AMIRA, "ts": asked.ts, "text": f"<@{BOT}> exprot?", "type": "message"}
    at = f"{float(asked.ts) + 2:.6f}"
    event = {
        "type": "message",
        "channel": SUPPORT,
        "channel_type": "channel",
        "previous_message": message,
        "event_ts": at,
    }
    if change == "edit":
        new = {**message, "text": f"<@{BOT}> export?", "edited": {"ts": at}}
        event |= {"subtype": "message_changed", "message": new}
    else:
        event |= {"subtype": "message_deleted", "deleted_ts": asked.ts}
    async with desk.store.begin() as tx:
        # The other process: it has the row, stores what it reads and is done with it.
        await tx.connection.exec_driver_sql(
            f"update inbox set state = 'done' where question_key = '{TEAM}:{SUPPORT}:{asked.ts}'"
        )
        assert await dispatch(event) == 200
        await until(lambda: _somebody_waits(desk.store))
        thread = Thread(
            key=f"{TEAM}:{SUPPORT}:{asked.ts}",
            team=TEAM,
            channel=SUPPORT,
            thread_ts=asked.ts,
            started_by=AMIRA,
            started_at=moment_of(asked.ts),
            placeholders={},
        )
        await tx.conversations.open_thread(thread)
        await tx.conversations.create_pending(
            Interaction(
                id="i-met",
                thread_key=thread.key,
                team=TEAM,
                channel=SUPPORT,
                question_ts=asked.ts,
                asker=AMIRA,
                asked_at=thread.started_at,
                question="exprot?",
            )
        )
    await desk.idle()
    found = await desk.find(asked)
    assert found is not None
    if change == "edit":
        assert found.question == "export?"
    else:
        assert (found.question, found.state) == ("", InteractionState.ERASED)


async def _somebody_waits(store: Store) -> bool:
    async with store.begin() as tx:
        waiting = "select count(*) from pg_locks where not granted"
        return bool((await tx.connection.exec_driver_sql(waiting)).scalar())


async def test_an_edit_waits_for_a_question_whose_worker_died(
    desk: Desk, dispatch: Dispatch
) -> None:
    asked = await desk.people.post(user=AMIRA, channel=SUPPORT, text="hello")
    await desk.people.wait_until_settled()
    await desk.idle()
    async with desk.store.begin() as tx:
        await tx.connection.exec_driver_sql("delete from inbox")
    await desk.ask()  # the only worker is busy, so nobody takes what comes now
    root = asked.ts
    message = {"user": AMIRA, "ts": root, "text": f"<@{BOT}> How do I exprot?", "type": "message"}
    place = {"channel": SUPPORT, "channel_type": "channel"}
    assert await dispatch({**message, **place, "event_ts": root}) == 200
    async with desk.store.begin() as tx:
        # Longer than all the attempts that a row has.
        await tx.connection.exec_driver_sql(
            "update inbox set state = 'leased', lease_owner = 'dead', attempts = 1, "
            f"lease_until = now() + interval '3 s' where question_key = '{TEAM}:{SUPPORT}:{root}'"
        )
    edited = {"ts": f"{float(root) + 2:.6f}"}
    edit = {
        "type": "message",
        "subtype": "message_changed",
        **place,
        "message": {**message, "text": f"<@{BOT}> How do I import?", "edited": edited},
        "previous_message": message,
        "event_ts": edited["ts"],
    }
    assert await dispatch(edit) == 200
    desk.model.gate.set()
    await desk.idle()
    found = await desk.find(asked)
    assert found is not None
    assert (found.question, found.state) == ("How do I import?", InteractionState.POSTED)
