"""What Slack takes at most, over the wire: n passes, n + 1 is refused by its code."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from feedback.errors import InvalidInputError
from tests.integration.sandbox.conftest import AMIRA, SUPPORT
from tests.integration.sandbox.test_conversation import REASONS
from tests.integration.sandbox.test_web_api import refused

DIVIDER = {"type": "divider"}


async def stream(web: AsyncWebClient, people: SandboxClient) -> dict[str, Any]:
    asked = await people.post(user=AMIRA, channel=SUPPORT, text="question")
    started = await web.chat_startStream(
        channel=SUPPORT,
        thread_ts=asked.ts,
        recipient_team_id="T0SANDBOX1",
        recipient_user_id=AMIRA,
    )
    return {"channel": SUPPORT, "ts": started["ts"]}


async def test_texts_of_messages(web: AsyncWebClient) -> None:
    post = web.chat_postMessage
    sent = await post(channel=SUPPORT, markdown_text="x" * 12_000)
    assert await refused(post(channel=SUPPORT, markdown_text="x" * 12_001)) == "msg_too_long"
    assert (await post(channel=SUPPORT, text="x" * 40_000))["ok"]
    assert await refused(post(channel=SUPPORT, text="x" * 40_001)) == "msg_too_long"
    place = {"channel": SUPPORT, "ts": sent["ts"]}
    assert (await web.chat_update(**place, text="x" * 4_000))["ok"]
    assert await refused(web.chat_update(**place, text="x" * 4_001)) == "msg_too_long"
    ephemeral: dict[str, Any] = {"channel": SUPPORT, "user": AMIRA}
    assert (await web.chat_postEphemeral(**ephemeral, markdown_text="x" * 12_000))["ok"]
    late = web.chat_postEphemeral(**ephemeral, markdown_text="x" * 12_001)
    assert await refused(late) == "msg_too_long"


async def test_blocks_of_messages(web: AsyncWebClient) -> None:
    post = web.chat_postMessage
    assert (await post(channel=SUPPORT, text="x", blocks=[DIVIDER] * 50))["ok"]
    assert await refused(post(channel=SUPPORT, text="x", blocks=[DIVIDER] * 51)) == "invalid_blocks"
    half = {"type": "markdown", "text": "x" * 6_600}
    assert (await post(channel=SUPPORT, text="x", blocks=[half, half]))["ok"]
    more = [half, {"type": "markdown", "text": "x" * 6_601}]
    assert await refused(post(channel=SUPPORT, text="x", blocks=more)) == "msg_blocks_too_long"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}
    assert await refused(post(channel=SUPPORT, text="x", blocks=[section])) == "invalid_blocks"


async def test_streams(web: AsyncWebClient, people: SandboxClient) -> None:
    place = await stream(web, people)
    assert (await web.chat_appendStream(**place, markdown_text="x" * 12_000))["ok"]
    long = web.chat_appendStream(**place, markdown_text="x" * 12_001)
    assert await refused(long) == "msg_too_long"
    long_chunk = {"type": "markdown_text", "text": "x" * 12_001}
    assert await refused(web.chat_appendStream(**place, chunks=[long_chunk])) == "msg_too_long"
    blocks = [{"type": "blocks", "blocks": [DIVIDER] * 25}]
    for _ in range(2):
        assert (await web.chat_appendStream(**place, chunks=blocks))["ok"]
    one = [{"type": "blocks", "blocks": [DIVIDER]}]
    assert await refused(web.chat_appendStream(**place, chunks=one)) == "msg_blocks_too_many"
    assert await refused(web.chat_appendStream(**place)) == "no_text"
    assert await refused(web.chat_stopStream(**place, blocks=[DIVIDER] * 51)) == "invalid_blocks"
    assert (await web.chat_stopStream(**place, blocks=[DIVIDER] * 50))["ok"]


async def test_a_stream_that_was_refused_more_text_keeps_what_it_has(
    web: AsyncWebClient, people: SandboxClient
) -> None:
    place = await stream(web, people)
    await web.chat_appendStream(**place, markdown_text="kept")
    bad = [{"type": "markdown_text", "text": " and lost"}, {"type": "poem"}]
    assert await refused(web.chat_appendStream(**place, chunks=bad)) == "invalid_chunks"
    stopped = await web.chat_stopStream(**place)
    assert stopped["message"]["text"] == "kept"


async def test_a_home_view_is_published_over_what_its_app_has_seen(web: AsyncWebClient) -> None:
    view: dict[str, Any] = {"type": "home", "blocks": [DIVIDER] * 100}
    first = (await web.views_publish(user_id=AMIRA, view=view))["view"]
    second = (await web.views_publish(user_id=AMIRA, view=view, hash=first["hash"]))["view"]
    stale = web.views_publish(user_id=AMIRA, view=view, hash=first["hash"])
    assert await refused(stale) == "hash_conflict"
    by_id = web.views_update(view_id=second["id"], view=view, hash=first["hash"])
    assert await refused(by_id) == "hash_conflict"
    assert (await web.views_update(view_id=second["id"], view=view, hash=second["hash"]))["ok"]
    big = {"type": "home", "blocks": [DIVIDER] * 101}
    assert await refused(web.views_publish(user_id=AMIRA, view=big)) == "invalid_arguments"


async def test_what_people_type(
    web: AsyncWebClient, people: SandboxClient, sandbox: RunningSandbox
) -> None:
    said = await people.post(user=AMIRA, channel=SUPPORT, text="x" * 12_000)
    with pytest.raises(InvalidInputError, match="msg_too_long"):
        await people.post(user=AMIRA, channel=SUPPORT, text="x" * 12_001)
    with pytest.raises(InvalidInputError, match="msg_too_long"):
        await people.edit(user=AMIRA, message=said, text="x" * 12_001)
    trigger, _ = sandbox.sandbox.interactivity.triggers.issue(AMIRA)
    await web.views_open(trigger_id=trigger, view=REASONS)
    sent = await people.submit(user=AMIRA, values={"reasons": ["outdated"], "note": "x" * 3_001})
    assert sent.errors == {"note": "Please use at most 3000 characters."}
    sent = await people.submit(user=AMIRA, values={"reasons": ["outdated"], "note": "x" * 3_000})
    assert sent.outcome == "failed"  # nobody is connected; but it was sent
