"""Puts the bot together and runs it in Socket Mode until it is told to stop."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.answering import Answering, AnswerSettings, Generators, Guard, Knowledge
from bot.correcting import CorrectionDesk
from bot.in_flight import InFlight
from bot.notices import Notices
from bot.operating import OperatorDesk
from bot.redacting import ThreadRedactor
from bot.routing import TurnRouter
from bot.slack.api import SlackApi, make_client
from bot.slack.app import Reception, build_app
from bot.slack.conversation import make_conversation
from bot.slack.directory import Directory
from bot.slack.events import EventHandler, EventParts
from bot.slack.home import HomePages
from bot.slack.inbox_gate import InboxGate
from bot.slack.late import LateInteractions
from bot.slack.listeners.base import Heard, ListenerParts
from bot.slack.listeners.registry import everything_heard
from bot.slack.manner import ChannelManners
from bot.slack.operating import OperatorCommands
from bot.slack.payloads import Identity
from bot.voting import VotingDesk
from bot.worker import InboxWorkers, WorkerSettings
from feedback.clock import Clock
from feedback.errors import ConfigurationError, RetryableError
from feedback.ports import GenerationOptions
from feedback.prompting import PromptPolicy
from feedback.settings import Settings
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy

_log = logging.getLogger(__name__)

_LAST_WORK_S = 5.0
"""Seconds that listeners get to finish after the connection to Slack was closed."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What the bot needs besides Slack; chosen by the composition root."""

    store: Store
    clock: Clock
    knowledge: Knowledge
    generators: Generators
    guard: Guard


@dataclass(frozen=True, kw_only=True)
class Bot:
    """A bot that is put together; `running` sets it to work."""

    app: AsyncApp
    api: SlackApi
    identity: Identity
    in_flight: InFlight
    workers: InboxWorkers
    notices: Notices
    directory: Directory


@asynccontextmanager
async def assembled(settings: Settings, outside: Outside) -> AsyncIterator[Bot]:
    """Puts a bot together for the workspace of the token.

    Raises:
        ConfigurationError: When the token is missing.
        UnauthorizedError: When Slack refuses the token.
        RetryableError: When Slack cannot be reached.
    """
    slack = settings.slack
    if slack.bot_token is None:
        raise ConfigurationError(
            "SLACK_BOT_TOKEN is not set; set it, or start `understudy up` for a local workspace"
        )
    async with aiohttp.ClientSession() as session:
        api = SlackApi(
            make_client(slack.bot_token.get_secret_value(), slack.api_url, session=session)
        )
        identity = await api.identity()
        yield _assemble(settings, outside, api, identity)


def _assemble(settings: Settings, outside: Outside, api: SlackApi, identity: Identity) -> Bot:
    store, clock, slack = outside.store, outside.clock, settings.slack
    key = settings.privacy.pseudonym_key.get_secret_value().encode()
    redactor = ThreadRedactor(key, bot=identity.user_id)
    directory = Directory(
        store,
        clock,
        api,
        redactor,
        team=identity.team,
        reviewers=slack.reviewers_group,
        admins=slack.admins_group,
        handoff=slack.handoff_group,
    )
    in_flight = InFlight()
    notices = Notices(store, api, review_channel=slack.review_channel)
    listening = ListenerParts(
        store=store,
        api=api,
        voting=VotingDesk(store, clock, redactor),
        corrections=CorrectionDesk(store, clock, redactor),
        operators=_operators(settings, outside, api, notices.wake),
        effects_owed=notices.wake,
    )
    heard = everything_heard(listening)
    events = _events(settings, outside, redactor, directory, listening, heard, identity)
    workers = InboxWorkers(store, events.handle, events.give_up, _worker_settings(settings))
    gate = InboxGate(store, clock, identity, workers.wake, in_flight, stopped=events.look)
    return Bot(
        app=build_app(api.client, gate, Reception(store, heard, in_flight)),
        api=api,
        identity=identity,
        in_flight=in_flight,
        workers=workers,
        notices=notices,
        directory=directory,
    )


def _operators(
    settings: Settings, outside: Outside, api: SlackApi, effects_owed: Callable[[], None]
) -> OperatorCommands:
    desk = OperatorDesk(
        outside.store,
        outside.clock,
        WhyPolicy.of(settings),
        channel=settings.slack.operators_channel,
        home_team=settings.slack.operators_team,
    )
    return OperatorCommands(outside.store, outside.clock, api, desk, effects_owed=effects_owed)


def _events(
    settings: Settings,
    outside: Outside,
    redactor: ThreadRedactor,
    directory: Directory,
    listening: ListenerParts,
    heard: Heard,
    identity: Identity,
) -> EventHandler:
    api = listening.api
    answering = _answering(settings, outside, redactor)
    conversation = make_conversation(
        outside.store,
        outside.clock,
        api,
        answering,
        identity,
        ChannelManners(
            stream_channels=settings.bot.stream_channels,
            handoff=lambda: directory.handoff_group,
        ),
        lease_s=settings.bot.lease_s,
    )
    late = LateInteractions(heard, effects_owed=listening.effects_owed)
    return EventHandler(
        EventParts(
            bot=identity,
            conversation=conversation,
            voting=listening.voting,
            home=HomePages(outside.store, api, label_gate=settings.retrain.label_gate),
            late=late,
        )
    )


def _worker_settings(settings: Settings) -> WorkerSettings:
    return WorkerSettings(
        name=f"bot-{os.getpid()}-{secrets.token_hex(4)}",
        workers=settings.bot.workers,
        lease_s=settings.bot.lease_s,
        max_attempts=settings.bot.max_attempts,
    )


def _answering(settings: Settings, outside: Outside, redactor: ThreadRedactor) -> Answering:
    model = settings.model
    return Answering(
        outside.store,
        outside.clock,
        redactor,
        TurnRouter(outside.store, url=model.url, base_model=model.base),
        outside.knowledge,
        outside.generators,
        outside.guard,
        AnswerSettings(
            retrieve=settings.bot.retrieve,
            options=GenerationOptions(max_tokens=model.max_tokens, timeout_s=model.timeout_s),
            prompt=PromptPolicy(context_words=settings.bot.context_words),
        ),
    )


@asynccontextmanager
async def running(bot: Bot, *, app_token: str) -> AsyncIterator[None]:
    """Works on the inbox and the outbox, connected by Socket Mode, until the block ends."""
    await bot.directory.sync()
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        tasks = [
            asyncio.create_task(bot.workers.run(stop), name="inbox-workers"),
            asyncio.create_task(bot.notices.run(stop), name="outbox"),
            asyncio.create_task(bot.directory.keep(stop), name="directory"),
        ]

        async def finish() -> None:
            await bot.in_flight.drain(_LAST_WORK_S)
            stop.set()
            bot.notices.wake()
            await asyncio.gather(*tasks)

        stack.push_async_callback(finish)
        handler = AsyncSocketModeHandler(bot.app, app_token)
        await handler.connect_async()  # type: ignore[no-untyped-call]
        stack.push_async_callback(handler.close_async)
        yield


async def run(
    settings: Settings,
    outside: Outside,
    stop: asyncio.Event,
    *,
    ready: Callable[[Identity], None] = lambda _: None,
) -> None:
    """Runs the bot until `stop` is set; waits for a Slack that is not there yet.

    Raises:
        ConfigurationError: When a token is missing or refused.
    """
    if settings.slack.app_token is None:
        raise ConfigurationError(
            "SLACK_APP_TOKEN is not set; Socket Mode needs an xapp- token with connections:write"
        )
    token = settings.slack.app_token.get_secret_value()
    delay_s = 0.5
    while not stop.is_set():
        try:
            async with assembled(settings, outside) as bot, running(bot, app_token=token):
                ready(bot.identity)
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
