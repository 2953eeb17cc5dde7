"""The same loop over Socket Mode and over signed HTTP, and what HTTP refuses."""

import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bot.guarding import StyleGuard
from bot.runtime import Running, assembled, running
from bot.sandbox.client import SandboxClient
from bot.sandbox.http_mode import signature
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from bot.slack.sockets import watch
from feedback.domain.interaction import Rating
from feedback.serving.fake import FakeTextGenerator
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    ANSWER,
    BEN,
    BOT,
    SUPPORT,
    Library,
    Workplace,
    answer_everything,
    outside_of,
)
from tests.waiting import until

TEAM = "T0SANDBOX1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(sandbox: RunningSandbox, **more: str) -> Settings:
    space = sandbox.workspace
    return load_settings(
        {
            "UNDERSTUDY_SLACK__API_URL": sandbox.api_url,
            "SLACK_BOT_TOKEN": space.bot_token,
            "SLACK_APP_TOKEN": space.app_token,
            "SLACK_SIGNING_SECRET": space.signing_secret,
            "TGI_URL": "http://127.0.0.1:9",
            "UNDERSTUDY_MODEL__MAX_TOKENS": "1000",
            **more,
        }
    )


@asynccontextmanager
async def started(
    transport: str, store: Store, guard: StyleGuard
) -> AsyncIterator[tuple[Workplace, Running]]:
    """A sandbox and a bot that meet by one transport."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/slack/events" if transport == "http" else None
    fast = SandboxSettings(ack_timeout_s=5.0, retry_delays_s=(0.0, 0.1, 0.2), events_url=url)
    model, library = FakeTextGenerator(answer_everything), Library()
    outside = outside_of(store, guard, model, library)
    async with serve(settings=fast) as sandbox:
        settings = settings_for(
            sandbox,
            UNDERSTUDY_SLACK__TRANSPORT=transport,
            UNDERSTUDY_SLACK__HTTP_PORT=str(port),
            UNDERSTUDY_SLACK__SOCKET_CONNECTIONS="3",
        )
        async with (
            assembled(settings, outside) as bot,
            running(bot) as live,
            SandboxClient(sandbox.url) as people,
        ):
            place = Workplace(
                people=people, store=store, bot=bot, library=library, model=model, sandbox=sandbox
            )
            yield place, live


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_ask_answer_thumb_and_modal(transport: str, store: Store, guard: StyleGuard) -> None:
    async with started(transport, store, guard) as (place, _):
        answer = await place.ask()
        assert answer.text == ANSWER
        clicked = await place.people.click(
            user=BEN, message=answer, action_id="answer_feedback", value="negative", wait_view_s=5
        )
        assert clicked.view is not None
        sent = await place.people.submit(
            user=BEN, values={"reasons": ["outdated"], "tone": "fine", "comment": ""}
        )
        assert sent.outcome == "closed", sent
        (vote,) = await place.votes(answer)
        assert vote.rating is Rating.DOWN
        assert [reason.value for reason in vote.reasons] == ["outdated"]


async def test_several_sockets_share_the_deliveries(store: Store, guard: StyleGuard) -> None:
    async with started("socket", store, guard) as (place, _):
        assert place.sandbox.sandbox.socket_mode.count == 3
        for number in range(4):
            answer = await place.ask(f"How do I export report {number}?")
            assert len(await place.answers(str(answer.thread_ts))) == 1


async def test_closed_connections_come_back(store: Store, guard: StyleGuard) -> None:
    async with started("socket", store, guard) as (place, _):
        await place.ask()
        sockets = place.sandbox.sandbox.socket_mode
        before = sockets.connections
        assert await place.people.disconnect() == 3

        async def back() -> bool:
            now = sockets.connections
            return len(now) == 3 and not any(one in before for one in now)

        await until(back)
        assert (await place.ask("Can I export after that?")).text == ANSWER


@asynccontextmanager
async def door(store: Store, guard: StyleGuard) -> AsyncIterator[tuple[Workplace, str]]:
    async with started("http", store, guard) as (place, live):
        yield place, f"http://127.0.0.1:{live.http_port}"


def question(ts: str, event_id: str = "Ev1") -> str:
    return json.dumps(
        {
            "type": "event_callback",
            "team_id": TEAM,
            "event_id": event_id,
            "authorizations": [{"team_id": TEAM, "user_id": BOT}],
            "event": {
                "type": "app_mention",
                "channel": SUPPORT,
                "user": BEN,
                "text": f"<@{BOT}> How do I export a report?",
                "ts": ts,
            },
        }
    )


def signed(secret: str, body: str, *, age_s: int = 0) -> dict[str, str]:
    stamp = str(int(time.time()) - age_s)
    return {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature(secret, stamp, body),
    }


async def stored(store: Store) -> int:
    async with store.begin() as tx:
        found = await tx.connection.exec_driver_sql("select count(*) from inbox")
        return int(found.scalar_one())


@pytest.mark.parametrize(
    ("secret", "age_s"),
    [pytest.param("forged-secret", 0, id="forged"), pytest.param("", 301, id="stale")],
)
async def test_what_slack_did_not_sign_just_now_is_refused(
    secret: str, age_s: int, store: Store, guard: StyleGuard
) -> None:
    async with door(store, guard) as (place, url), aiohttp.ClientSession() as session:
        body = question("1700000000.000100")
        headers = signed(secret or place.sandbox.workspace.signing_secret, body, age_s=age_s)
        async with session.post(f"{url}/slack/events", data=body, headers=headers) as refused:
            assert refused.status == 401
        assert await stored(store) == 0


async def test_a_redelivery_is_acknowledged_and_answered_once(
    store: Store, guard: StyleGuard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot.slack.inbox_gate")
    async with door(store, guard) as (place, url), aiohttp.ClientSession() as session:
        asked = await place.people.post(user=BEN, channel=SUPPORT, text="Nobody is asked yet.")
        await place.settle()
        before = await stored(store)
        body = question(asked.ts, "EvAgain")
        for retry in ("", "1", "2"):
            more = {"X-Slack-Retry-Num": retry, "X-Slack-Retry-Reason": "http_timeout"}
            headers = signed(place.sandbox.workspace.signing_secret, body)
            headers |= more if retry else {}
            async with session.post(f"{url}/slack/events", data=body, headers=headers) as answer:
                assert answer.status == 200
        await place.settle()
        assert await stored(store) == before, "the twin of a message that is stored already"
    assert "EvAgain comes again (retry 2: http_timeout)" in caplog.text


async def test_the_health_page_and_oversized_bodies(store: Store, guard: StyleGuard) -> None:
    async with door(store, guard) as (place, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/healthz") as health:
            assert (health.status, await health.text()) == (200, "ok")
        async with session.post(f"{url}/slack/events", data=b"x" * 1_000_001) as large:
            assert large.status == 413
        async with session.get(f"{url}/slack/install") as nothing:
            assert nothing.status == 404, "nothing is installed with a single token"
        assert place.sandbox.sandbox.http_mode is not None
        assert await place.sandbox.sandbox.http_mode.verify_url()


async def test_too_many_connections_are_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    await watch(None, {"type": "disconnect", "reason": "too_many_websockets"}, None)  # type: ignore[arg-type]
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "SOCKET_CONNECTIONS" in record.message


async def test_a_stopped_bot_leaves_the_port(store: Store, guard: StyleGuard) -> None:
    async with started("http", store, guard) as (_, live):
        port = live.http_port

    async def closed() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port or 0)) != 0

    await until(closed)
