"""Puts the bot together and runs it, over Socket Mode or HTTP, until it is told to stop."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_bolt.async_app import AsyncApp

from bot.assembly import Outside, WorkspaceBuilder
from bot.configuring import require_consistent
from bot.expiring import Expiring, Patience
from bot.in_flight import InFlight
from bot.notices import Notices
from bot.slack.api import make_client
from bot.slack.app import Door, Reception, build_app
from bot.slack.deliveries import Deliveries
from bot.slack.http import HttpDoor, serving
from bot.slack.inbox_gate import InboxGate
from bot.slack.installs.flow import by_oauth
from bot.slack.installs.single import SingleInstallation
from bot.slack.payloads import Identity
from bot.slack.sockets import connected
from bot.slack.uninstalling import Uninstalling
from bot.slack.workspaces import Installations, Workspaces
from bot.worker import InboxWorkers, PostponedError, WorkerSettings
from feedback.errors import ConfigurationError, PermanentError, RetryableError
from feedback.settings import Settings

__all__ = ["Bot", "Outside", "Running", "assembled", "run", "running"]

_log = logging.getLogger(__name__)

_LAST_WORK_S = 5.0
"""Seconds that listeners get to finish after the connection to Slack was closed."""


@dataclass(frozen=True, kw_only=True)
class Bot:
    """A bot that is put together; `running` sets it to work.

    Attributes:
        home: Who the bot is in the workspace of SLACK_BOT_TOKEN; None when workspaces are
            installed by OAuth.
    """

    settings: Settings
    outside: Outside
    app: AsyncApp
    home: Identity | None
    workspaces: Workspaces
    in_flight: InFlight
    workers: InboxWorkers
    notices: Notices
    expiring: Expiring


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where a running bot is reached.

    Attributes:
        http_port: Port of the HTTP deliveries or installation pages; None when neither is served.
    """

    bot: Bot
    http_port: int | None


@asynccontextmanager
async def assembled(settings: Settings, outside: Outside) -> AsyncIterator[Bot]:
    """Puts a bot together.

    Raises:
        ConfigurationError: When settings are missing or contradict each other.
        TokenRefusedError: When Slack refuses SLACK_BOT_TOKEN.
        RetryableError: When Slack or the database cannot be reached.
    """
    require_consistent(settings.slack)
    async with aiohttp.ClientSession() as session:
        yield await _assemble(settings, outside, session)


async def _assemble(settings: Settings, outside: Outside, session: aiohttp.ClientSession) -> Bot:
    store, clock, slack = outside.store, outside.clock, settings.slack
    # The parts wake each other: what they share is made first, as mere flags.
    work, effects = asyncio.Event(), asyncio.Event()
    builder = WorkspaceBuilder(
        settings=settings, outside=outside, session=session, effects_owed=effects.set
    )
    client = make_client(None, slack.api_url, session=session)
    if slack.client_id:
        installations, flow = by_oauth(slack, store, clock, client)
        home = None
    else:
        installations, home = await _by_token(settings, outside, builder)
        flow = None
    workspaces = Workspaces(store, clock, installations, builder.build)
    deliveries = Deliveries(workspaces, Uninstalling(store, clock, erase=slack.erase_on_uninstall))
    workers = InboxWorkers(
        store, deliveries.handle, deliveries.give_up, _worker_settings(settings), wakeup=work
    )
    in_flight, secret = InFlight(), slack.signing_secret
    gate = InboxGate(store, clock, _who(workspaces), work.set, in_flight, stopped=workspaces.look)
    return Bot(
        settings=settings,
        outside=outside,
        app=build_app(
            client,
            gate,
            Door(workspaces),
            Reception(store, workspaces, in_flight),
            signing_secret=secret.get_secret_value() if secret else None,
            oauth_flow=flow,
        ),
        home=home,
        workspaces=workspaces,
        in_flight=in_flight,
        workers=workers,
        notices=Notices(
            store,
            workspaces,
            home=slack.operators_team,
            wakeup=effects,
            retry_s=settings.bot.retry_s,
        ),
        expiring=Expiring(store, clock, Patience.of(settings), effects_owed=effects.set),
    )


async def _by_token(
    settings: Settings, outside: Outside, builder: WorkspaceBuilder
) -> tuple[Installations, Identity | None]:
    slack = settings.slack
    assert slack.bot_token is not None
    token = slack.bot_token.get_secret_value()
    single = SingleInstallation(
        outside.store,
        outside.clock,
        builder.client(token),
        token=token,
        review_channel=slack.review_channel,
    )
    return single, await single.begin()


def _who(workspaces: Workspaces) -> Callable[[str], Identity | None]:
    def who(team: str) -> Identity | None:
        workspace = workspaces.known(team)
        return workspace.identity if workspace else None

    return who


def _worker_settings(settings: Settings) -> WorkerSettings:
    return WorkerSettings(
        name=f"bot-{os.getpid()}-{secrets.token_hex(4)}",
        workers=settings.bot.workers,
        lease_s=settings.bot.lease_s,
        max_attempts=settings.bot.max_attempts,
        retry_s=settings.bot.retry_s,
    )


@asynccontextmanager
async def running(bot: Bot) -> AsyncIterator[Running]:
    """Works on the inbox and the outbox, reachable for Slack, until the block ends.

    Raises:
        UnderstudyError: When the workspace of SLACK_BOT_TOKEN cannot be served.
    """
    if bot.home is not None:
        await _begin_at(bot.workspaces, bot.home.team)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        tasks = [
            asyncio.create_task(bot.workers.run(stop), name="inbox-workers"),
            asyncio.create_task(bot.notices.run(stop), name="outbox"),
            asyncio.create_task(bot.expiring.keep(stop), name="expiring"),
            asyncio.create_task(bot.workspaces.keep(stop, bot.workers.wake), name="workspaces"),
        ]

        async def finish() -> None:
            await bot.in_flight.drain(_LAST_WORK_S)
            stop.set()
            bot.notices.wake()
            await asyncio.gather(*tasks)

        stack.push_async_callback(finish)
        yield Running(bot=bot, http_port=await _listen(bot, stack))


async def _begin_at(workspaces: Workspaces, home: str) -> None:
    """Puts the only workspace together; what operators have to mend there ends the start."""
    try:
        await workspaces.of(home)
    except PostponedError as exc:
        if isinstance(exc.__cause__, PermanentError | ConfigurationError):
            raise exc.__cause__ from None
        raise


async def _listen(bot: Bot, stack: AsyncExitStack) -> int | None:
    """Opens what Slack, and those who install the app, reach the bot by."""
    slack = bot.settings.slack
    port: int | None = None
    if slack.transport == "http" or slack.client_id:
        door = HttpDoor(bot.app, bot.outside.store, events=slack.transport == "http")
        port = await stack.enter_async_context(
            serving(door, host=slack.http_host, port=slack.http_port)
        )
    if slack.transport == "socket":
        assert slack.app_token is not None
        token = slack.app_token.get_secret_value()
        await stack.enter_async_context(
            connected(bot.app, token, connections=slack.socket_connections)
        )
    return port


async def run(
    settings: Settings,
    outside: Outside,
    stop: asyncio.Event,
    *,
    ready: Callable[[Running], None] = lambda _: None,
) -> None:
    """Runs the bot until `stop` is set; waits for a Slack that is not there yet.

    Raises:
        ConfigurationError: When settings are missing, contradict each other or are refused.
    """
    delay_s = 0.5
    while not stop.is_set():
        try:
            async with assembled(settings, outside) as bot, running(bot) as live:
                ready(live)
                await stop.wait()
        except RetryableError as exc:
            _log.warning("Slack or the database is not there yet: %s", exc)
            await _wait(stop, delay_s)
            delay_s = min(30.0, delay_s * 2)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
