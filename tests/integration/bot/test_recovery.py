"""Failures between every two steps: nothing is lost, nothing is said twice."""

import json
from collections.abc import Sequence

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.in_flight import InFlight
from bot.notices import Notices
from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from bot.slack.asking import Asking
from bot.slack.inbox_gate import InboxGate
from bot.slack.storing import to_delivery
from bot.slack.views.progress import searching
from feedback.clock import SystemClock
from feedback.domain.handoff import HandoffReason
from feedback.domain.interaction import InteractionState, Rating
from feedback.errors import UnavailableError, UnderstudyError
from feedback.ports import Message
from feedback.serving.fake import FakeTextGenerator
from feedback.store.conversations import SqlConversations
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BEN,
    BOT,
    SUPPORT,
    Library,
    MakeBot,
    Workplace,
    settle,
)
from tests.integration.bot.gated import GatedGenerator
from tests.waiting import until


async def asked(place: Workplace, text: str = "how to export?") -> str:
    message = await place.people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> {text}")
    return message.ts


async def test_a_post_whose_answer_was_lost_is_found_again(workplace: Workplace) -> None:
    await workplace.people.fault(method="chat.postMessage", kind="lost_answer")
    root = await asked(workplace)
    await workplace.settle()
    (answer,) = await workplace.answers(root)
    assert (await workplace.interaction(answer)).state is InteractionState.POSTED


async def test_a_post_that_was_cut_off_is_made_again(workplace: Workplace) -> None:
    await workplace.people.fault(method="chat.postMessage", kind="cut")
    root = await asked(workplace)
    await workplace.settle()
    (answer,) = await workplace.answers(root)
    assert answer.text == ANSWER
    assert len(workplace.model.calls) == 1, "the stored answer is posted, not generated again"


async def test_a_kill_between_post_and_record_does_not_post_twice(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = Asking._deliver
    deaths: list[str] = []

    async def die_once(self: Asking, *args: object, ts: str) -> bool:
        if not deaths:
            deaths.append(ts)
            raise UnavailableError("killed after the post")
        return await deliver(self, *args, ts=ts)  # type: ignore[arg-type]

    monkeypatch.setattr(Asking, "_deliver", die_once)
    root = await asked(workplace)
    await workplace.settle()
    (answer,) = await workplace.answers(root)
    assert [answer.ts] == deaths
    assert (await workplace.interaction(answer)).state is InteractionState.POSTED


@pytest.mark.parametrize("kind", ["lost_answer", "cut"])
async def test_a_long_answer_that_broke_off_goes_on_with_the_missing_part(
    workplace: Workplace, kind: str
) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "wordiness " * 90 for n in range(10)).strip()
    workplace.model._script = lambda _messages, _adapter: text
    await workplace.people.fault(method="chat.postMessage", kind=kind, skip=1)
    root = await asked(workplace)
    await workplace.settle()
    parts = await workplace.answers(root)
    assert len(parts) > 2
    assert "".join(" ".join(part.text for part in parts).split()) == "".join(text.split())
    assert (await workplace.interaction(parts[-1])).state is InteractionState.POSTED


async def test_a_model_that_comes_back_answers(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> None:

    model = FakeTextGenerator([UnavailableError("down", retry_after=0.05), ANSWER])
    async with make_bot(model, Library()), SandboxClient(sandbox.url) as people:
        message = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> export?")
        answer = await people.wait_for_reply(channel=SUPPORT, thread_ts=message.ts)
    assert answer.text == ANSWER


async def test_a_question_that_fails_for_good_gets_one_apology(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> None:

    def down(_: Sequence[Message], __: str | None) -> UnderstudyError:
        return UnavailableError("secret internals", retry_after=0.05)

    async with make_bot(FakeTextGenerator(down), Library()), SandboxClient(sandbox.url) as people:
        message = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> export?")
        apology = await people.wait_for_reply(
            channel=SUPPORT, thread_ts=message.ts, where=lambda said: "incident" in said.text
        )
        call = await people.wait_for_reply(
            channel=SUPPORT, thread_ts=message.ts, where=lambda said: "help?" in said.text
        )
    assert "I call a colleague" in apology.text
    assert "secret" not in apology.text
    assert "<!subteam^S0ONCALL02>" in call.text
    async with store.begin() as tx:
        found = await tx.conversations.by_question("T0SANDBOX1", SUPPORT, message.ts)
        assert found is not None
        assert (found.state, found.error) == (InteractionState.FAILED, "UnavailableError")
        called = await tx.handoffs.of_interactions([found.id])
    assert called[found.id].reason is HandoffReason.FAILED


async def test_nothing_is_acknowledged_while_the_database_is_down(workplace: Workplace) -> None:
    dead = Store.connect("postgresql://nobody@127.0.0.1:1/none")
    gate = InboxGate(dead, SystemClock(), lambda _: None, lambda: None, InFlight())
    workplace.bot.app._async_before_authorize.func = gate.__call__  # type: ignore[union-attr]
    body = event_body("Ev1", "1.000001")
    assert (await dispatch(workplace, body)).status == 500
    await dead.close()


async def test_an_event_that_cannot_be_read_is_kept_and_acknowledged(workplace: Workplace) -> None:
    answer = await dispatch(workplace, {"type": "event_callback", "event": "?\0"})
    assert answer.status == 200
    async with workplace.store.begin() as tx:
        rows = await tx.connection.exec_driver_sql(
            "select type, state, payload->'body'->>'event' from inbox"
        )
        assert [tuple(row) for row in rows] == [
            ("unparsed", "unparsed", "?\N{REPLACEMENT CHARACTER}")
        ]


async def test_twins_and_redeliveries_are_one_row(workplace: Workplace) -> None:
    other = {"event_id": "Ev2", "kind": "app_mention"}
    for body in (
        event_body("Ev1", "5.000001"),
        event_body(other["event_id"], "5.000001", kind=other["kind"]),
        event_body("Ev1", "5.000001"),
    ):
        assert (await dispatch(workplace, body)).status == 200
    async with workplace.store.begin() as tx:
        count = await tx.connection.exec_driver_sql("select count(*) from inbox")
        assert count.scalar_one() == 1


async def test_a_click_whose_process_died_is_applied_by_a_worker(workplace: Workplace) -> None:
    answer = await workplace.ask()
    interaction = await workplace.interaction(answer)
    body = {
        "type": "block_actions",
        "user": {"id": BEN},
        "team": {"id": workplace.team},
        "actions": [
            {
                "action_id": "answer_feedback",
                "value": json.dumps({"i": interaction.id, "s": -1}),
                "action_ts": "1700000000.5",
            }
        ],
    }
    delivery = to_delivery(body, received_ts=1_700_000_000.0)
    async with workplace.store.begin() as tx:
        # The listener died: its grace is over.
        await tx.inbox.add(type(delivery)(**{**delivery.__dict__, "defer_s": 0.0}))
    workplace.bot.workers.wake()
    await workplace.settle()
    assert [(v.user_id, v.rating) for v in await workplace.votes(answer)] == [(BEN, Rating.DOWN)]


async def test_an_answer_that_fits_nowhere_is_announced_in_private(workplace: Workplace) -> None:
    await workplace.people.fault(
        method="chat.postMessage", kind="error", code="is_archived", channel=SUPPORT, times=None
    )
    root = await asked(workplace)
    await workplace.settle()
    assert await workplace.answers(root) == []
    channel = await workplace.people.open_dm(user=AMIRA)

    async def told() -> bool:
        return any(m.is_app for m in await workplace.people.messages(channel=channel))

    await until(told)


async def test_blocks_that_slack_refuses_become_plain_text(workplace: Workplace) -> None:
    await workplace.people.fault(method="chat.postMessage", kind="error", code="invalid_blocks")
    root = await asked(workplace)
    await workplace.settle()
    (answer,) = await workplace.answers(root)
    assert answer.text == ANSWER


@pytest.mark.parametrize("kind", ["ratelimited", "server_error", "html"])
async def test_slack_in_trouble_delays_the_answer_only(workplace: Workplace, kind: str) -> None:
    await workplace.people.fault(method="chat.postMessage", kind=kind, retry_after=0)
    root = await asked(workplace)
    await workplace.settle()
    assert len(await workplace.answers(root)) == 1


def event_body(event_id: str, ts: str, *, kind: str = "message") -> dict[str, object]:
    return {
        "type": "event_callback",
        "event_id": event_id,
        "team_id": "T0SANDBOX1",
        "authorizations": [{"user_id": BOT}],
        "event": {"type": kind, "channel": "C0NOWHERE", "user": AMIRA, "ts": ts, "text": "hello"},
    }


async def dispatch(place: Workplace, body: dict[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return await place.bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))


async def test_a_stream_that_nobody_recorded_is_finished_by_the_successor(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = SqlConversations.mark_streaming
    deaths: list[str] = []

    async def die_once(self: SqlConversations, interaction_id: str, answer_ts: str) -> None:
        if not deaths:
            deaths.append(answer_ts)
            raise RuntimeError("killed before the stream was recorded")
        await record(self, interaction_id, answer_ts)

    monkeypatch.setattr(SqlConversations, "mark_streaming", die_once)
    long = "Open Settings, then Export, and choose CSV. " * 12
    monkeypatch.setattr(workplace.model, "_script", lambda *_: long)
    channel = await workplace.people.open_dm(user=AMIRA)
    message = await workplace.people.post(user=AMIRA, channel=channel, text="how to export?")
    await workplace.settle()
    (answer,) = await workplace.answers(message.ts, channel)
    assert [answer.ts] == deaths
    assert answer.text.strip() == long.strip()
    assert not answer.streaming


LONG = "Open Settings, then Export, and choose CSV. " * 12


@pytest.mark.parametrize("found_at", ["once", "the end"])
async def test_a_stream_whose_beginning_slack_did_not_confirm_is_gone_on_with(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, found_at: str
) -> None:
    """The message stands half-open in the thread; nobody is left looking at it."""
    monkeypatch.setattr(workplace.model, "_script", lambda *_: LONG)
    people = workplace.people
    await people.fault(method="chat.startStream", kind="lost_answer")
    if found_at == "the end":
        await people.fault(method="conversations.replies", kind="cut", times=2)
    channel = await people.open_dm(user=AMIRA)
    message = await people.post(user=AMIRA, channel=channel, text="how to export?")
    await workplace.settle()
    (answer,) = await workplace.answers(message.ts, channel)
    assert (answer.text.strip(), answer.streaming) == (LONG.strip(), False)
    assert (await workplace.interaction(answer)).state is InteractionState.POSTED
    assert workplace.sandbox.sandbox.faults.calls["chat.startStream"] == 1
    assert len(workplace.model.calls) == 1


async def test_only_the_answers_own_stream_is_taken_for_its_beginning(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths: list[str] = []
    record = SqlConversations.mark_streaming

    async def die_once(self: SqlConversations, interaction_id: str, answer_ts: str) -> None:
        if not deaths:
            deaths.append(answer_ts)
            raise RuntimeError("killed before the stream was recorded")
        await record(self, interaction_id, answer_ts)

    monkeypatch.setattr(SqlConversations, "mark_streaming", die_once)
    model = GatedGenerator(after=LONG)
    bot = AsyncWebClient(token=sandbox.workspace.bot_token, base_url=sandbox.api_url)
    async with make_bot(model, Library()), SandboxClient(sandbox.url) as people:
        channel = await people.open_dm(user=AMIRA)
        asked = await people.post(user=AMIRA, channel=channel, text="how to export?")
        await model.reached.wait()
        # Something of ours without a mark, and the half-open stream of another answer.
        await bot.chat_postMessage(channel=channel, thread_ts=asked.ts, text="Maintenance at 5.")
        await bot.chat_startStream(
            channel=channel, thread_ts=asked.ts, chunks=[searching("another", "in_progress")]
        )
        model.gate.set()
        await settle(people, store)
        thread = await people.messages(channel=channel, thread_ts=asked.ts)
    plain, other, answer = [message for message in thread if message.is_app]
    assert (plain.text, other.streaming) == ("Maintenance at 5.", True)
    assert [answer.ts] == deaths
    assert (answer.text.strip(), answer.streaming) == (LONG.strip(), False)


async def test_a_kill_after_the_refusal_does_not_lose_the_word_to_the_asker(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is owed is committed with the refusal; whoever comes next says it, once."""
    async with SandboxClient(sandbox.url) as people:
        with monkeypatch.context() as killed:
            killed.setattr(Notices, "perform", killed_before)
            async with make_bot(FakeTextGenerator([ANSWER]), Library()):
                await people.fault(
                    method="chat.postMessage", kind="error", code="is_archived", channel=SUPPORT
                )
                await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> export?")
                await settle(people, store)
        private = await people.open_dm(user=AMIRA)
        assert await people.messages(channel=private) == []
        # The first word arrives, but nobody hears that it did.
        await people.fault(method="chat.postMessage", kind="lost_answer", channel=private)
        async with make_bot(FakeTextGenerator([ANSWER]), Library()):
            await until(lambda: nothing_owed(store))
        (word,) = await people.messages(channel=private)
    assert "cannot post it" in word.text


async def killed_before(_: Notices) -> int:
    return 0


async def nothing_owed(store: Store) -> bool:
    async with store.begin() as tx:
        owed = await tx.connection.exec_driver_sql("select done_at, error from outbox")
        return [(row.done_at is not None, row.error) for row in owed] == [(True, None)]
