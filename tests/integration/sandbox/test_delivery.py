"""Deliveries go wrong on purpose: nothing is lost, and what Slack would repeat is repeated."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.sandbox.server import RunningSandbox
from feedback.errors import InvalidInputError
from tests.integration.sandbox.conftest import AMIRA, SUPPORT, connected, quiet
from tests.integration.sandbox.test_conversation import FEEDBACK
from tests.waiting import until


class Inbox:
    """Records every delivery as the bot's inbox would, and can refuse to acknowledge."""

    def __init__(self, web: AsyncWebClient) -> None:
        self.web = web
        self.seen: asyncio.Queue[tuple[str, int, str]] = asyncio.Queue()
        self.refuse = 0
        self.app = AsyncApp(client=web, logger=quiet(), before_authorize=self._take)

    async def _take(self, body: dict[str, Any], req: AsyncBoltRequest) -> BoltResponse:
        number = int((req.headers.get("x-slack-retry-num") or ["0"])[0])
        reason = (req.headers.get("x-slack-retry-reason") or [""])[0]
        self.seen.put_nowait((body["event_id"], number, reason))
        if self.refuse:
            self.refuse -= 1
            return BoltResponse(status=500, body="")
        return BoltResponse(status=200, body="")

    async def next(self) -> tuple[str, int, str]:
        """Returns the next delivery: event_id, retry number, retry reason."""
        async with asyncio.timeout(10):
            return await self.seen.get()


@pytest.fixture
def inbox(web: AsyncWebClient) -> Inbox:
    return Inbox(web)


async def test_an_unacknowledged_event_comes_again_with_its_retry_marks(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    inbox.refuse = 2
    async with connected(inbox.app, sandbox):
        await people.post(user=AMIRA, channel=SUPPORT, text="hello")
        deliveries = [await inbox.seen.get() for _ in range(3)]
        await people.wait_until_settled()
    assert [number for _, number, _ in deliveries] == [0, 1, 2]
    assert [reason for *_, reason in deliveries] == ["", "timeout", "timeout"]
    assert len({event_id for event_id, *_ in deliveries}) == 1
    counts = await people.deliveries()
    assert (counts["acknowledged"], counts["redelivered"], counts["pending"]) == (1, 2, 0)


async def test_slack_gives_up_after_the_last_retry(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    inbox.refuse = 4
    async with connected(inbox.app, sandbox):
        await people.post(user=AMIRA, channel=SUPPORT, text="hello")
        for _ in range(4):
            await inbox.seen.get()
        await people.post(user=AMIRA, channel=SUPPORT, text="next")
        await inbox.seen.get()
        await people.wait_until_settled()
    counts = await people.deliveries()
    assert (counts["given_up"], counts["acknowledged"]) == (1, 1)
    assert counts["given_up_events"][0]["event"]["text"] == "hello"


async def test_events_without_a_socket_wait_for_one(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    for text in ("one", "two", "three"):
        await people.post(user=AMIRA, channel=SUPPORT, text=text)
    assert (await people.deliveries())["pending"] == 3
    async with connected(inbox.app, sandbox):
        deliveries = [await inbox.seen.get() for _ in range(3)]
    assert [number for _, number, _ in deliveries] == [0, 0, 0]


async def test_dropped_acks_and_duplicates(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        await people.delivery_faults(drop_acks=1)
        await people.post(user=AMIRA, channel=SUPPORT, text="ack lost")
        first, second = await inbox.seen.get(), await inbox.seen.get()
        assert first[0] == second[0]
        assert (first[1], second[1]) == (0, 1)
        await people.delivery_faults(duplicate=1)
        await people.post(user=AMIRA, channel=SUPPORT, text="twice")
        third, fourth = await inbox.seen.get(), await inbox.seen.get()
    assert third == fourth


async def test_reordered_events(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        await people.delivery_faults(reorder=1)
        await people.post(user=AMIRA, channel=SUPPORT, text="first")
        held = next(iter(sandbox.sandbox.delivery.pending.values()))["body"]["event_id"]
        await people.post(user=AMIRA, channel=SUPPORT, text="second")
        order = [(await inbox.seen.get())[0] for _ in range(2)]
    assert order[1] == held


@pytest.mark.parametrize("abrupt", [False, True])
async def test_the_app_comes_back_after_its_sockets_were_closed(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient, abrupt: bool
) -> None:
    async with connected(inbox.app, sandbox):
        assert await people.disconnect(abrupt=abrupt) == 1
        await people.post(user=AMIRA, channel=SUPPORT, text="said meanwhile")
        await people.wait_until_connected()
        assert (await inbox.seen.get())[1] == 0


async def test_two_connections_share_the_events(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox), connected(inbox.app, sandbox):
        for number in range(6):
            await people.post(user=AMIRA, channel=SUPPORT, text=str(number))
        seen = {(await inbox.seen.get())[0] for _ in range(6)}
        counts = await people.deliveries()
    assert counts["connections"] == 2
    assert len(seen) == 6
    assert inbox.seen.empty()


async def test_one_message_twice_under_two_event_ids(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        await people.delivery_faults(renumber=1)
        await people.post(user=AMIRA, channel=SUPPORT, text="twice")
        first, second = await inbox.next(), await inbox.next()
    assert first[0] != second[0]
    assert first[1:] == second[1:] == (0, "")


async def test_a_late_event_comes_after_its_successor(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        await people.delivery_faults(delay=1, delay_ms=300)
        await people.post(user=AMIRA, channel=SUPPORT, text="first")
        late = next(iter(sandbox.sandbox.delivery.pending.values()))["body"]["event_id"]
        await people.post(user=AMIRA, channel=SUPPORT, text="second")
        order = [(await inbox.next())[0] for _ in range(2)]
    assert order[1] == late


async def test_what_a_dead_line_swallowed_comes_again(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        await people.delivery_faults(swallow=1)
        await people.post(user=AMIRA, channel=SUPPORT, text="hello")
        assert (await inbox.next())[1:] == (1, "timeout")
        await people.wait_until_settled()
    assert inbox.seen.empty()


async def test_a_line_that_breaks_before_the_ack(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        await people.delivery_faults(cut=1)
        await people.post(user=AMIRA, channel=SUPPORT, text="hello")
        first, second = await inbox.next(), await inbox.next()
        await people.wait_until_settled()
    assert first[0] == second[0]
    assert (first[1:], second[1:]) == ((0, ""), (1, "connection_failed"))


@pytest.mark.parametrize("reason", ["refresh_requested", "too_many_websockets"])
async def test_one_of_two_sockets_is_closed(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient, reason: str
) -> None:
    async with connected(inbox.app, sandbox), connected(inbox.app, sandbox):
        assert await people.disconnect(connections=1, reason=reason) == 1
        await people.post(user=AMIRA, channel=SUPPORT, text="hello")
        assert (await inbox.next())[1] == 0
        await people.wait_until_settled()
    assert inbox.seen.empty()
    with pytest.raises(InvalidInputError, match="unknown reason"):
        await people.disconnect(reason="boredom")


async def test_a_warned_socket_carries_on_until_the_app_has_moved(
    inbox: Inbox, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    async with connected(inbox.app, sandbox):
        [old] = sandbox.sandbox.socket_mode.connections
        assert await people.disconnect(reason="warning") == 1
        await people.post(user=AMIRA, channel=SUPPORT, text="meanwhile")
        assert (await inbox.next())[1] == 0

        async def moved() -> bool:
            return old not in sandbox.sandbox.socket_mode.connections

        await until(moved)
        await people.wait_until_connected()
        await people.post(user=AMIRA, channel=SUPPORT, text="afterwards")
        assert (await inbox.next())[1] == 0


async def test_an_eleventh_socket_is_refused(sandbox: RunningSandbox, inbox: Inbox) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(connected(inbox.app, sandbox))
        async with aiohttp.ClientSession() as session:
            url = (await inbox.web.apps_connections_open(app_token=sandbox.workspace.app_token))[
                "url"
            ]
            async with session.ws_connect(url) as socket:
                refusal = await socket.receive_json()
        assert refusal["type"] == "disconnect"
        assert refusal["reason"] == "too_many_websockets"
        assert sandbox.sandbox.socket_mode.count == 10


async def test_the_app_is_told_that_events_are_held_back(
    web: AsyncWebClient, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    bodies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(body: dict[str, Any]) -> BoltResponse:
        bodies.put_nowait(body)
        return BoltResponse(status=200, body="")

    app = AsyncApp(client=web, logger=quiet(), before_authorize=take)
    async with connected(app, sandbox):
        await people.rate_limit_app()
        body = await bodies.get()
    assert (body["type"], body["team_id"]) == ("app_rate_limited", sandbox.workspace.team_id)
    assert "event" not in body


async def test_a_click_whose_line_breaks_is_not_repeated(
    web: AsyncWebClient, sandbox: RunningSandbox, people: SandboxClient
) -> None:
    sent = await web.chat_postMessage(channel=SUPPORT, text="x", blocks=FEEDBACK)
    message = SandboxMessage.read(SUPPORT, dict(sent["message"]))
    clicks: asyncio.Queue[str] = asyncio.Queue()

    async def take(body: dict[str, Any]) -> BoltResponse:
        if body["type"] == "block_actions":
            clicks.put_nowait(body["actions"][0]["action_id"])
        return BoltResponse(status=200, body="")

    app = AsyncApp(client=web, logger=quiet(), before_authorize=take)
    outcomes = []
    async with connected(app, sandbox):
        for fault in ("cut", "swallow", "drop_acks"):
            await people.wait_until_connected()
            await people.delivery_faults(**{fault: 1})
            click = await people.click(user=AMIRA, message=message, action_id="answer_feedback")
            outcomes.append((click.acked, click.reason))
        assert clicks.qsize() <= 2
        async with asyncio.timeout(10):
            assert {await clicks.get() for _ in range(2)} == {"answer_feedback"}
    assert outcomes == [(False, "connection_failed"), (False, "timeout"), (False, "timeout")]
