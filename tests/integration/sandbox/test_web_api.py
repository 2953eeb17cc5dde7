"""The Web API through slack_sdk: shapes, pages, limits and Slack's error codes."""

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from feedback.errors import ConfigurationError, InvalidInputError
from tests.integration.sandbox.conftest import AMIRA, BEN, BOT, GRACE, REVIEW, SUPPORT
from tests.integration.sandbox.test_conversation import FEEDBACK, REASONS


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(SlackApiError) as raised:
        await call
    error: str = raised.value.response["error"]
    return error


async def test_identity_people_and_groups(web: AsyncWebClient) -> None:
    me = await web.auth_test()
    assert (me["user_id"], me["bot_id"]) == (BOT, "B0UNDRSTDY")
    amira = await web.users_info(user=AMIRA)
    assert amira["user"]["profile"]["title"] == "Support agent"
    assert len((await web.users_list())["members"]) == 11
    [reviewers, *_] = (await web.usergroups_list(include_users=True))["usergroups"]
    users = await web.usergroups_users_list(usergroup=reviewers["id"])
    assert users["users"] == reviewers["users"]
    assert await refused(web.users_info(user="U404")) == "user_not_found"
    assert await refused(web.usergroups_users_list(usergroup="S404")) == "no_such_subteam"


async def test_tokens(sandbox: RunningSandbox) -> None:
    def client(token: str) -> AsyncWebClient:
        return AsyncWebClient(token=token, base_url=sandbox.api_url)

    assert await refused(client("xoxb-wrong").auth_test()) == "invalid_auth"
    assert (
        await refused(client("xoxb-sandbox-understudy").api_call("apps.connections.open"))
        == "not_allowed_token_type"
    )
    app = client("xapp-sandbox-understudy")
    assert (
        await refused(app.chat_postMessage(channel=SUPPORT, text="x")) == "not_allowed_token_type"
    )
    person = client(f"xoxp-{AMIRA}")
    said = await person.chat_postMessage(channel=SUPPORT, text="as myself")
    assert said["message"]["user"] == AMIRA
    assert "bot_id" not in said["message"]
    assert await refused(person.api_call("nothing.here")) == "unknown_method"


async def test_form_and_json_bodies_mean_the_same(sandbox: RunningSandbox) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}]
    headers = {"Authorization": f"Bearer {sandbox.workspace.bot_token}"}
    fields = {"channel": SUPPORT, "text": "hi", "blocks": json.dumps(blocks)}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{sandbox.api_url}chat.postMessage"
        async with session.post(url, data=fields) as answer:
            form = await answer.json()
        async with session.post(url, json={**fields, "blocks": blocks}) as answer:
            plain = await answer.json()
        async with session.post(
            url, data="{nonsense", headers={"Content-Type": "application/json"}
        ) as answer:
            broken = await answer.json()
    for body in (form, plain):
        assert body["message"]["blocks"][0]["text"]["text"] == "hi"
        assert body["message"]["blocks"][0]["block_id"]
    assert broken == {"ok": False, "error": "invalid_json"}


async def test_history_and_threads_in_pages(web: AsyncWebClient) -> None:
    posted = [await web.chat_postMessage(channel=SUPPORT, text=str(n)) for n in range(5)]
    root = posted[0]["ts"]
    for number in range(3):
        await web.chat_postMessage(channel=SUPPORT, text=f"reply {number}", thread_ts=root)
    first = await web.conversations_history(channel=SUPPORT, limit=3)
    assert [m["text"] for m in first["messages"]] == ["4", "3", "2"]
    cursor = first["response_metadata"]["next_cursor"]
    rest = await web.conversations_history(channel=SUPPORT, limit=3, cursor=cursor)
    assert [m["text"] for m in rest["messages"]] == ["1", "0"]
    assert rest["messages"][1]["reply_count"] == 3
    thread = await web.conversations_replies(channel=SUPPORT, ts=root)
    assert [m["text"] for m in thread["messages"]] == ["0", "reply 0", "reply 1", "reply 2"]
    newer = await web.conversations_history(channel=SUPPORT, oldest=posted[2]["ts"])
    assert [m["text"] for m in newer["messages"]] == ["4", "3"]
    link = (await web.chat_getPermalink(channel=SUPPORT, message_ts=root))["permalink"]
    assert link.endswith(f"/archives/{SUPPORT}/p{root.replace('.', '')}")


async def test_update_with_text_alone_deletes_the_blocks(web: AsyncWebClient) -> None:
    sent = await web.chat_postMessage(channel=SUPPORT, text="with buttons", blocks=FEEDBACK)
    changed = await web.chat_update(channel=SUPPORT, ts=sent["ts"], text="plain")
    assert "blocks" not in changed["message"]
    assert changed["message"]["edited"]["user"] == BOT


async def test_posting_errors(web: AsyncWebClient, people: SandboxClient) -> None:
    said = await people.post(user=AMIRA, channel=SUPPORT, text="mine")
    post, long = web.chat_postMessage, "x" * 12_001
    many = [{"type": "divider"}] * 51
    big = [{"type": "markdown", "text": "y" * 7_000}] * 2
    assert await refused(post(channel="C404", text="x")) == "channel_not_found"
    assert await refused(web.api_call("chat.postMessage", json={"channel": SUPPORT})) == "no_text"
    assert (
        await refused(post(channel=SUPPORT, text="x", markdown_text="y"))
        == "markdown_text_conflict"
    )
    assert await refused(post(channel=SUPPORT, markdown_text=long)) == "msg_too_long"
    assert await refused(post(channel=SUPPORT, text="x", blocks=many)) == "invalid_blocks"
    assert await refused(post(channel=SUPPORT, text="x", blocks=big)) == "msg_blocks_too_long"
    assert (
        await refused(post(channel=SUPPORT, text="x", thread_ts="1.000000")) == "thread_not_found"
    )
    assert await refused(post(channel=SUPPORT, text="x", thread_ts="soon")) == "invalid_thread_ts"
    metadata: dict[str, Any] = {"event_type": "a", "event_payload": {"big": "z" * 11_000}}
    assert await refused(post(channel=SUPPORT, text="x", metadata=metadata)) == "metadata_too_large"
    assert (
        await refused(web.chat_update(channel=SUPPORT, ts=said.ts, text="no"))
        == "cant_update_message"
    )
    assert await refused(web.chat_delete(channel=SUPPORT, ts=said.ts)) == "cant_delete_message"
    assert (
        await refused(web.chat_update(channel=SUPPORT, ts="1.000000", text="x"))
        == "message_not_found"
    )
    ephemeral = web.chat_postEphemeral(channel=REVIEW, user=AMIRA, text="x")
    assert await refused(ephemeral) == "user_not_in_channel"


async def test_reaction_errors(web: AsyncWebClient) -> None:
    ts = (await web.chat_postMessage(channel=SUPPORT, text="x"))["ts"]
    await web.reactions_add(channel=SUPPORT, timestamp=ts, name="eyes")
    again = web.reactions_add(channel=SUPPORT, timestamp=ts, name="eyes")
    assert await refused(again) == "already_reacted"
    shown = await web.reactions_get(channel=SUPPORT, timestamp=ts)
    assert shown["message"]["reactions"][0]["count"] == 1
    await web.reactions_remove(channel=SUPPORT, timestamp=ts, name="eyes")
    gone = web.reactions_remove(channel=SUPPORT, timestamp=ts, name="eyes")
    assert await refused(gone) == "no_reaction"
    odd = web.reactions_add(channel=SUPPORT, timestamp=ts, name="no such name!")
    assert await refused(odd) == "invalid_name"


async def test_private_conversations_stay_private(sandbox: RunningSandbox) -> None:
    amira = AsyncWebClient(token=f"xoxp-{AMIRA}", base_url=sandbox.api_url)
    assert await refused(amira.conversations_info(channel=REVIEW)) == "channel_not_found"
    listed = await amira.conversations_list(types="public_channel,private_channel")
    assert REVIEW not in {channel["id"] for channel in listed["channels"]}
    grace = AsyncWebClient(token=f"xoxp-{GRACE}", base_url=sandbox.api_url)
    assert (await grace.conversations_info(channel=REVIEW))["channel"]["is_private"]
    async with SandboxClient(sandbox.url) as people:
        with pytest.raises(InvalidInputError, match="not_in_channel"):
            await people.post(user=AMIRA, channel=REVIEW, text="hello?")
        with pytest.raises(InvalidInputError, match="channel_not_found"):
            await people.messages(channel=REVIEW, user=AMIRA)


async def test_stream_errors(web: AsyncWebClient, people: SandboxClient) -> None:
    asked = await people.post(user=AMIRA, channel=SUPPORT, text="question")
    place: dict[str, Any] = {"channel": SUPPORT, "thread_ts": asked.ts}
    assert await refused(web.chat_startStream(**place)) == "missing_recipient_team_id"
    half = web.chat_startStream(**place, recipient_team_id="T0SANDBOX1")
    assert await refused(half) == "missing_recipient_user_id"
    elsewhere = web.chat_startStream(**place, recipient_team_id="T404", recipient_user_id=AMIRA)
    assert await refused(elsewhere) == "team_not_found"
    started = await web.chat_startStream(
        **place, recipient_team_id="T0SANDBOX1", recipient_user_id=AMIRA
    )
    ts = started["ts"]
    conflict = web.chat_update(channel=SUPPORT, ts=ts, text="x")
    assert await refused(conflict) == "streaming_state_conflict"
    task = {"type": "task_update", "id": "1", "title": "Searching", "status": "complete"}
    await web.chat_appendStream(channel=SUPPORT, ts=ts, chunks=[task])
    await web.chat_appendStream(channel=SUPPORT, ts=ts, markdown_text="Done.")
    bad = web.chat_appendStream(channel=SUPPORT, ts=ts, chunks=[{"type": "poem"}])
    assert await refused(bad) == "invalid_chunks"
    stopped = await web.chat_stopStream(channel=SUPPORT, ts=ts)
    kinds = [block["type"] for block in stopped["message"]["blocks"]]
    assert kinds == ["task_card", "markdown"]
    late = web.chat_appendStream(channel=SUPPORT, ts=ts, markdown_text="more")
    assert await refused(late) == "message_not_in_streaming_state"


async def test_a_person_stops_a_stream(web: AsyncWebClient, people: SandboxClient) -> None:
    asked = await people.post(user=AMIRA, channel=SUPPORT, text="question")
    started = await web.chat_startStream(
        channel=SUPPORT,
        thread_ts=asked.ts,
        recipient_team_id="T0SANDBOX1",
        recipient_user_id=AMIRA,
        markdown_text="Well, ",
    )
    ended = await people.stop_session(user=AMIRA, channel=SUPPORT, thread_ts=asked.ts)
    assert ended == [started["ts"]]
    more = web.chat_appendStream(channel=SUPPORT, ts=started["ts"], markdown_text="more")
    assert await refused(more) == "stopped_by_user"


async def test_streams_and_triggers_expire() -> None:
    impatient = SandboxSettings(stream_life_s=0.0, trigger_life_s=0.0, ack_timeout_s=0.2)
    async with serve(settings=impatient) as sandbox, SandboxClient(sandbox.url) as people:
        web = AsyncWebClient(token=sandbox.workspace.bot_token, base_url=sandbox.api_url)
        dm = await people.open_dm(user=AMIRA)
        asked = await people.post(user=AMIRA, channel=dm, text="question")
        started = await web.chat_startStream(channel=dm, thread_ts=asked.ts)
        late = web.chat_appendStream(channel=dm, ts=started["ts"], markdown_text="x")
        assert await refused(late) == "message_not_in_streaming_state"
        whole = await web.chat_update(channel=dm, ts=started["ts"], markdown_text="the whole text")
        assert whole["message"]["streaming_state"] == "completed"
        trigger, _ = sandbox.sandbox.interactivity.triggers.issue(AMIRA)
        assert (
            await refused(web.views_open(trigger_id=trigger, view=REASONS)) == "expired_trigger_id"
        )


async def test_view_errors(web: AsyncWebClient, sandbox: RunningSandbox) -> None:
    triggers = sandbox.sandbox.interactivity.triggers
    assert await refused(web.views_open(trigger_id="1.2.3", view=REASONS)) == "invalid_trigger_id"
    trigger, _ = triggers.issue(AMIRA)
    opened = (await web.views_open(trigger_id=trigger, view=REASONS))["view"]
    again = web.views_open(trigger_id=trigger, view=REASONS)
    assert await refused(again) == "exchanged_trigger_id"
    stale = web.views_update(view_id=opened["id"], view=REASONS, hash="0.old")
    assert await refused(stale) == "hash_conflict"
    updated = (await web.views_update(view_id=opened["id"], view=REASONS, hash=opened["hash"]))[
        "view"
    ]
    assert updated["hash"] != opened["hash"]
    for _ in range(2):
        inner, _ = triggers.issue(AMIRA, opened["id"])
        await web.views_push(trigger_id=inner, view=REASONS)
    full, _ = triggers.issue(AMIRA, opened["id"])
    assert await refused(web.views_push(trigger_id=full, view=REASONS)) == "push_limit_reached"
    assert await refused(web.views_update(view_id="V404", view=REASONS)) == "not_found"
    nameless = {k: v for k, v in REASONS.items() if k != "submit"}
    fresh, _ = triggers.issue(BEN)
    assert await refused(web.views_open(trigger_id=fresh, view=nameless)) == "invalid_arguments"
    huge = {**REASONS, "private_metadata": "x" * 260_000}
    assert await refused(web.views_open(trigger_id=fresh, view=huge)) == "view_too_large"


async def test_faults_hit_the_named_method_and_pass(
    web: AsyncWebClient, people: SandboxClient
) -> None:
    await people.fault(method="chat.postMessage", kind="error", code="fatal_error")
    assert await refused(web.chat_postMessage(channel=SUPPORT, text="x")) == "fatal_error"
    assert (await web.chat_postMessage(channel=SUPPORT, text="x"))["ok"]
    await people.fault(method="chat.postMessage", kind="ratelimited", retry_after=0, times=1)
    web.retry_handlers.append(AsyncRateLimitErrorRetryHandler())
    assert (await web.chat_postMessage(channel=SUPPORT, text="after 429"))["ok"]
    await people.fault(method="users.info", kind="html", times=2)
    for _ in range(2):
        with pytest.raises(SlackApiError) as raised:
            await web.users_info(user=AMIRA)
        assert raised.value.response.status_code == 500
    await people.fault(method="*", kind="error", code="internal_error", times=None)
    assert await refused(web.auth_test()) == "internal_error"
    await people.clear_faults()
    assert (await web.auth_test())["ok"]
    with pytest.raises(InvalidInputError, match="unknown fault kind"):
        await people.fault(method="auth.test", kind="earthquake")


async def test_a_lost_answer_makes_slack_sdk_post_twice(
    web: AsyncWebClient, people: SandboxClient
) -> None:
    await people.fault(method="chat.postMessage", kind="lost_answer")
    await web.chat_postMessage(channel=SUPPORT, text="once?")
    assert [m.text for m in await people.messages(channel=SUPPORT)] == ["once?", "once?"]


async def test_clicks_without_an_app_fail_as_in_slack(
    web: AsyncWebClient, people: SandboxClient
) -> None:
    sent = await web.chat_postMessage(channel=SUPPORT, text="x", blocks=FEEDBACK)
    message = SandboxMessage.read(SUPPORT, dict(sent["message"]))
    click = await people.click(
        user=AMIRA, message=message, action_id="answer_feedback", value="negative", wait_view_s=1
    )
    assert (click.acked, click.reason, click.view) == (False, "no_connection", None)
    with pytest.raises(InvalidInputError, match="action_not_found"):
        await people.click(user=AMIRA, message=message, action_id="nothing")


async def test_many_people_at_once(web: AsyncWebClient, people: SandboxClient) -> None:
    async def ask(number: int) -> str:
        asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"question {number}")
        waiting = asyncio.create_task(
            people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts, timeout_s=20)
        )
        await web.chat_postMessage(channel=SUPPORT, thread_ts=asked.ts, text=f"answer {number}")
        return (await waiting).text

    answers = await asyncio.gather(*(ask(number) for number in range(50)))
    assert answers == [f"answer {number}" for number in range(50)]
    stamps = [message.ts for message in await people.messages(channel=SUPPORT)]
    assert stamps == sorted(set(stamps))


async def test_reset_starts_over(web: AsyncWebClient, people: SandboxClient) -> None:
    before = (await web.chat_postMessage(channel=SUPPORT, text="x"))["ts"]
    await people.reset()
    assert await people.messages(channel=SUPPORT) == []
    assert (await web.chat_postMessage(channel=SUPPORT, text="y"))["ts"] > before


async def test_other_web_sites_are_kept_out(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.url}/sandbox/messages"
    body = {"user": AMIRA, "channel": SUPPORT, "text": "forged"}
    async with aiohttp.ClientSession() as session:
        async with session.post(
            url, json=body, headers={"Origin": "https://evil.example"}
        ) as answer:
            assert answer.status == 403
        async with session.post(url, json=body, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403
        async with session.post(url, data=json.dumps(body)) as answer:
            assert answer.status == 400
        async with session.get(f"{sandbox.url}/link?ticket=guess") as answer:
            assert answer.status == 403


async def test_a_taken_port_and_a_taken_state_directory_are_named(tmp_path: Path) -> None:
    async with serve(state_dir=tmp_path) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            async with serve(port=port):
                raise AssertionError("two servers on one port")
        with pytest.raises(ConfigurationError, match="another sandbox uses"):
            async with serve(state_dir=tmp_path):
                raise AssertionError("two servers on one state")
