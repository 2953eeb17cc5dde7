"""Deliveries go wrong on purpose: nothing is lost, and what Slack would repeat is repeated."""

import asyncio
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from tests.integration.sandbox.conftest import AMIRA, SUPPORT, connected, quiet


class Inbox:
    """Records every delivery as the bot's inbox would, and can refuse to acknowledge."""

    def __init__(self, web: AsyncWebClient) -> None:
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
