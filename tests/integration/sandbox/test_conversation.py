"""A real Bolt app answers, streams, opens modals; people act through the client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncSay
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.sandbox.server import RunningSandbox
from tests.integration.sandbox.conftest import AMIRA, BEN, BOT, SUPPORT, connected

FEEDBACK: list[dict[str, Any]] = [
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "answer_feedback",
                "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
                "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
            }
        ],
    }
]

REASONS: dict[str, Any] = {
    "type": "modal",
    "callback_id": "reasons",
    "private_metadata": "id-1",
    "title": {"type": "plain_text", "text": "What was wrong?"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Reasons"},
            "element": {
                "type": "checkboxes",
                "action_id": "reasons",
                "options": [
                    {"text": {"type": "plain_text", "text": "Wrong fact"}, "value": "wrong_fact"},
                    {"text": {"type": "plain_text", "text": "Outdated"}, "value": "outdated"},
                ],
            },
        },
        {
            "type": "input",
            "block_id": "note",
            "optional": True,
            "label": {"type": "plain_text", "text": "Note"},
            "element": {"type": "plain_text_input", "action_id": "note", "multiline": True},
        },
    ],
}


async def ask(people: SandboxClient, text: str = "how do refunds work?") -> SandboxMessage:
    return await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> {text}")


async def test_a_mention_is_answered_in_its_thread(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    twins: list[dict[str, Any]] = []

    async def answer(body: dict[str, Any], event: dict[str, Any], say: AsyncSay) -> None:
        twins.append(body)
        await say(text="Like *this*.", thread_ts=event["ts"])

    app.event("app_mention")(answer)
    async with connected(app, sandbox):
        asked = await ask(people)
        reply = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    assert (reply.text, reply.user, reply.is_app) == ("Like *this*.", BOT, True)
    [body] = twins
    assert body["event"]["ts"] == asked.ts
    assert body["event"]["user"] == AMIRA
    assert body["authorizations"][0]["user_id"] == BOT
    assert body["event_id"].startswith("Ev")
    thread = await people.messages(channel=SUPPORT, thread_ts=asked.ts)
    assert [message.ts for message in thread] == [asked.ts, reply.ts]
    assert thread[0].raw["reply_count"] == 1


async def test_a_mention_has_a_message_twin_and_a_dm_has_none(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def record(body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
        if body["event"].get("user") == AMIRA:
            seen.put_nowait(body)
        await next_()

    app.middleware(record)

    async def ignore() -> None:
        """The middleware has seen it."""

    app.event("app_mention")(ignore)
    async with connected(app, sandbox):
        asked = await ask(people)
        twins = [await seen.get(), await seen.get()]
        dm = await people.open_dm(user=AMIRA)
        private = await people.post(user=AMIRA, channel=dm, text=f"<@{BOT}> privately")
        direct = await seen.get()
    assert {body["event"]["type"] for body in twins} == {"message", "app_mention"}
    assert {body["event"]["ts"] for body in twins} == {asked.ts}
    assert len({body["event_id"] for body in twins}) == 2
    message = next(body["event"] for body in twins if body["event"]["type"] == "message")
    assert (message["channel_type"], message["channel"]) == ("channel", SUPPORT)
    assert direct["event"]["type"] == "message"
    assert (direct["event"]["channel_type"], direct["event"]["ts"]) == ("im", private.ts)
    assert seen.empty()


async def test_a_streamed_answer_grows_and_becomes_final(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    async def answer(event: dict[str, Any]) -> None:
        place = {"channel": event["channel"], "thread_ts": event["ts"]}
        await web.assistant_threads_setStatus(
            channel_id=event["channel"], thread_ts=event["ts"], status="is thinking…"
        )
        stream = await web.chat_stream(
            **place, recipient_team_id="T0SANDBOX1", recipient_user_id=event["user"], buffer_size=4
        )
        for word in ("Refunds ", "take **five** ", "days."):
            await stream.append(markdown_text=word)
        metadata = {"event_type": "support_answer", "event_payload": {"id": "opaque"}}
        await stream.stop(blocks=FEEDBACK, metadata=metadata)

    app.event("app_mention")(answer)
    async with connected(app, sandbox):
        asked = await ask(people)
        reply = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
        known = await web.conversations_replies(
            channel=SUPPORT, ts=asked.ts, include_all_metadata=True
        )
    assert reply.text == "Refunds take **five** days."
    assert [block["type"] for block in reply.blocks] == ["markdown", "context_actions"]
    assert known["messages"][1]["metadata"]["event_payload"] == {"id": "opaque"}
    assert (await people.state())["statuses"] == []


async def test_thumb_down_opens_a_modal_whose_errors_and_update_come_back(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    actions: list[dict[str, Any]] = []
    states: list[dict[str, Any]] = []

    async def clicked(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        actions.append(body)
        await web.views_open(trigger_id=body["trigger_id"], view=REASONS)

    async def submitted(ack: AsyncAck, view: dict[str, Any]) -> None:
        states.append(view["state"]["values"])
        note = view["state"]["values"]["note"]["note"]["value"]
        if not note:
            await ack(response_action="errors", errors={"note": "Say a little more."})
            return
        thanks = {"type": "section", "text": {"type": "mrkdwn", "text": f"Noted: {note}"}}
        shown = {k: v for k, v in REASONS.items() if k != "submit"}
        await ack(response_action="update", view={**shown, "blocks": [thanks]})

    app.action("answer_feedback")(clicked)
    app.view("reasons")(submitted)
    async with connected(app, sandbox):
        posted = await web.chat_postMessage(channel=SUPPORT, text="An answer", blocks=FEEDBACK)
        answer = SandboxMessage.read(SUPPORT, dict(posted["message"]))
        click = await people.click(
            user=BEN,
            message=answer,
            action_id="answer_feedback",
            value="negative",
            wait_view_s=5,
        )
        assert click.acked
        assert click.view is not None
        assert click.view["callback_id"] == "reasons"
        nothing = await people.submit(user=BEN, values={})
        assert nothing.errors == {"why": "Please complete this required field."}
        first = await people.submit(user=BEN, values={"reasons": ["outdated"]})
        assert (first.outcome, first.errors) == ("errors", {"note": "Say a little more."})
        second = await people.submit(
            user=BEN, values={"reasons": ["outdated"], "note": "since May"}
        )
    assert second.outcome == "updated"
    assert second.view is not None
    assert second.view["blocks"][0]["text"]["text"] == "Noted: since May"
    [action] = actions
    assert action["actions"][0]["value"] == "down"
    assert action["user"]["id"] == BEN
    assert states[-1]["why"]["reasons"]["selected_options"][0]["value"] == "outdated"


async def test_app_home_shows_what_the_app_publishes(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    opened: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def home(event: dict[str, Any]) -> None:
        hello = {"type": "section", "text": {"type": "mrkdwn", "text": "Your queue is empty"}}
        await web.views_publish(user_id=event["user"], view={"type": "home", "blocks": [hello]})
        opened.put_nowait(event)

    app.event("app_home_opened")(home)
    async with connected(app, sandbox):
        await people.open_home(user=AMIRA)
        first = await opened.get()
        await people.open_home(user=AMIRA, tab="messages")
        second = await opened.get()
        shown = await people.home(AMIRA)
    assert (first["tab"], second["tab"]) == ("home", "messages")
    assert shown is not None
    assert shown["blocks"][0]["text"]["text"] == "Your queue is empty"


async def test_edits_deletions_and_reactions_reach_the_app(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def record(event: dict[str, Any]) -> None:
        seen.put_nowait(event)

    for name in ("reaction_added", "reaction_removed"):
        app.event(name)(record)
    app.event({"type": "message", "subtype": "message_changed"})(record)
    app.event({"type": "message", "subtype": "message_deleted"})(record)
    app._async_listeners.reverse()
    async with connected(app, sandbox):
        said = await people.post(user=AMIRA, channel=SUPPORT, text="hello")
        await people.react(user=BEN, message=said, name="+1")
        await people.react(user=BEN, message=said, name="+1", present=False)
        await people.edit(user=AMIRA, message=said, text="hello all")
        await people.delete(user=AMIRA, message=said)
        events = [await seen.get() for _ in range(4)]
    kinds = {event.get("subtype", event["type"]): event for event in events}
    assert set(kinds) == {
        "reaction_added",
        "reaction_removed",
        "message_changed",
        "message_deleted",
    }
    assert kinds["reaction_added"]["item"]["ts"] == said.ts
    assert kinds["message_changed"]["message"]["text"] == "hello all"
    assert kinds["message_changed"]["previous_message"]["text"] == "hello"
    assert kinds["message_deleted"]["deleted_ts"] == said.ts


async def test_shortcut_and_slash_command(
    app: AsyncApp, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    async def teach(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await web.views_open(trigger_id=body["trigger_id"], view=REASONS)

    async def command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack(text=f"you said {body['text']}")

    app.shortcut("teach_reply")(teach)
    app.command("/understudy")(command)
    async with connected(app, sandbox):
        said = await people.post(user=AMIRA, channel=SUPPORT, text="The better reply")
        taught = await people.shortcut(
            user=BEN, message=said, callback_id="teach_reply", wait_view_s=5
        )
        ran = await people.command(user=BEN, channel=SUPPORT, command="/understudy", text="status")
        private = await people.wait_for_ephemeral(user=BEN, channel=SUPPORT)
    assert taught.opened
    assert ran.acked
    assert private.text == "you said status"
    assert not any(
        m.raw.get("is_ephemeral") for m in await people.messages(channel=SUPPORT, user=AMIRA)
    )
