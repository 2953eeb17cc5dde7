"""How often and how long a Web API call is tried, against the sandbox; what is raised then."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.drafts import Source
from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from bot.slack.api import SlackApi, make_client
from bot.slack.budget import Budget, limit_s
from bot.slack.calls import RATE_LIMIT_TRIES, Calls
from bot.slack.views.progress import searching, text_chunk
from feedback.errors import OverloadedError, TimedOutError, UnavailableError
from tests.integration.bot.conftest import AMIRA, SUPPORT

TEAM = "T0SANDBOX1"


class Slack:
    """The sandbox, the API, and how often it was called."""

    def __init__(self, sandbox: RunningSandbox, people: SandboxClient) -> None:
        self.people = people
        self._sandbox = sandbox

    def api(self, *, share: float = 0.0, limit: float | None = None) -> SlackApi:
        client = make_client(self._sandbox.workspace.bot_token, self._sandbox.api_url)
        longest = limit_s if limit is None else lambda _: limit
        return SlackApi(client, Calls(Budget(share=share), repeat_s=0.01, limit_s=longest))

    def calls(self, method: str) -> int:
        return self._sandbox.sandbox.faults.calls.get(method, 0)


@pytest.fixture
async def slack(sandbox: RunningSandbox) -> AsyncIterator[Slack]:
    async with SandboxClient(sandbox.url) as people:
        yield Slack(sandbox, people)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "server_error", "status": 500},
        {"kind": "server_error", "status": 503},
        {"kind": "html", "status": 502},
        {"kind": "broken_json", "status": 200},
        {"kind": "server_error", "status": 200},
        {"kind": "html", "status": 200},
        {"kind": "cut"},
        {"kind": "error", "code": "internal_error"},
        {"kind": "error", "code": "fatal_error"},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
async def test_a_read_is_made_twice_and_a_post_once(
    slack: Slack, rule: dict[str, str | int]
) -> None:
    """By us alone: no retry handler multiplies the tries."""
    api = slack.api()
    for method in ("conversations.open", "chat.postMessage"):
        await slack.people.fault(method=method, times=None, **rule)
    with pytest.raises(UnavailableError):
        await api.open_dm(AMIRA)
    with pytest.raises(UnavailableError):
        await api.post(SUPPORT, "hello")
    assert slack.calls("conversations.open") == 2
    assert slack.calls("chat.postMessage") == 1
    await slack.people.clear_faults()  # zeroes the counts
    await slack.people.fault(method="conversations.open", **rule)
    assert await api.open_dm(AMIRA)
    assert slack.calls("conversations.open") == 2


@pytest.mark.parametrize("after", ["0", "soon", "", "-3", "1e9", "nan", "Wed, 21 Oct 2026 07:28"])
async def test_whatever_stands_in_retry_after_is_survived(slack: Slack, after: str) -> None:
    await slack.people.fault(
        method="agents.sessions.setStatus", kind="ratelimited", retry_after=after, times=None
    )
    with pytest.raises(OverloadedError) as refused:
        await slack.api().set_session(SUPPORT, "1.000001", "active")
    assert refused.value.retry_after == (0.0 if after == "0" else None)


async def test_a_refusal_for_speed_is_tried_three_times(slack: Slack) -> None:
    await slack.people.fault(
        method="chat.postMessage", kind="error", code="ratelimited", retry_after=0, times=None
    )
    with pytest.raises(OverloadedError):
        await slack.api().post(SUPPORT, "hello")
    assert slack.calls("chat.postMessage") == RATE_LIMIT_TRIES


async def test_a_call_is_over_in_time_however_slack_dawdles(slack: Slack) -> None:
    await slack.people.fault(method="conversations.open", kind="delay", delay_s=0.5)
    with pytest.raises(TimedOutError, match=r"conversations\.open: not done within 0\.1 s"):
        async with asyncio.timeout(5.0):
            await slack.api(limit=0.1).open_dm(AMIRA)


async def test_turns_and_tries_count_against_the_same_limit(slack: Slack) -> None:
    await slack.people.fault(method="views.open", kind="ratelimited", retry_after=1, times=None)
    api, loop = slack.api(), asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(OverloadedError):
        await api.open_view("1.1.x", {"type": "modal"})
    assert loop.time() - began < limit_s("views.open")
    assert slack.calls("views.open") == 2, "a third try would come after the trigger is dead"


async def test_workers_who_begin_at_once_share_the_room_for_streams(slack: Slack) -> None:
    """Twenty a minute may begin, and each of them ends without waiting."""
    channel = await slack.people.open_dm(user=AMIRA)
    root = (await slack.people.post(user=AMIRA, channel=channel, text="How?")).ts
    api = slack.api(share=1.0)
    await slack.people.tiers(enforce=True)

    async def answer(number: int) -> bool:
        chunks = [searching(f"i-{number}", "in_progress", [Source(title="Export", uri="")])]
        try:
            ts = await api.start_stream(channel, root, f"{TEAM}:{AMIRA}", chunks=chunks)
        except OverloadedError:
            return False
        await api.append_stream(channel, ts, chunks=[text_chunk("Open Settings.")])
        await api.stop_stream(channel, ts)
        return True

    async with asyncio.timeout(20.0):
        shown = await asyncio.gather(*(answer(number) for number in range(50)))
    assert sum(shown) == 20
    assert await slack.people.refused() == {}
