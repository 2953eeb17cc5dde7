"""What every topic of listeners shares: how it is registered, and how outcomes are shown."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.administering import AdminDesk
from bot.correcting import CorrectionDesk
from bot.deciding import PatternDesk
from bot.experimenting import ExperimentDesk
from bot.handing_off import HandoffDesk
from bot.reviewing import ReviewDesk
from bot.slack.api import SlackApi
from bot.slack.directory import Directory
from bot.slack.errors import TokenRefusedError
from bot.slack.forms import Delivered
from bot.slack.home import HomePages
from bot.slack.operating import OperatorCommands
from bot.slack.views.blocks import Block, loading, note
from bot.voting import VotingDesk
from feedback.domain.reviewing import AlreadyDecidedError, OwnCorrectionError
from feedback.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PermanentError,
    UnderstudyError,
)
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

Listener = Callable[[AsyncAck, dict[str, Any], AsyncBoltContext], Awaitable[None]]
"""Handles `(ack, body, context)` of something people clicked, submitted, picked or typed."""

LateEffect = Callable[[Delivered], Awaitable[object]]
"""Applies a stored delivery whose listener died; repeatable, without the expired trigger."""

DATABASE_PATIENCE_S = 1.0
"""A trigger lives about 3 s: after this long the modal opens empty and is filled later."""

_REFUSALS: Sequence[tuple[type[UnderstudyError], str]] = (
    (OwnCorrectionError, "You wrote this correction, so another reviewer has to decide."),
    (AlreadyDecidedError, "You have decided about this one; the second look is somebody else's."),
    (ConflictError, "Somebody was faster: please look at the newest card."),
    (NotAllowedError, "Your role does not permit this. An admin can change that."),
    (NotFoundError, "I cannot find that answer any more."),
)
"""What people read, the first that fits."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a topic listens to; anything that nobody listens to is acknowledged and closed.

    Attributes:
        actions: Clicks, by action id.
        views: Submitted modals, by callback id.
        shortcuts: Global and message shortcuts, by callback id.
        commands: Slash commands, by name with the slash.
        late: What a worker does, by any of those names, when the listener died.
        abandoned: What is told, by any of those names, when the worker failed for good.
    """

    actions: Mapping[str, Listener] = field(default_factory=dict)
    views: Mapping[str, Listener] = field(default_factory=dict)
    shortcuts: Mapping[str, Listener] = field(default_factory=dict)
    commands: Mapping[str, Listener] = field(default_factory=dict)
    late: Mapping[str, LateEffect] = field(default_factory=dict)
    abandoned: Mapping[str, LateEffect] = field(default_factory=dict)

    def __or__(self, other: "Heard") -> "Heard":
        """Returns both together; two topics never share a name."""
        both: dict[str, Any] = {}
        for kind in fields(self):
            ours, theirs = getattr(self, kind.name), getattr(other, kind.name)
            if shared := ours.keys() & theirs.keys():
                raise ValueError(f"two topics listen to {kind.name} {sorted(shared)}")
            both[kind.name] = {**ours, **theirs}
        return Heard(**both)


@dataclass(frozen=True, kw_only=True)
class ListenerParts:
    """Everything of a workspace that clicks can lead to.

    Attributes:
        effects_owed: Called when an effect was written to the outbox.
    """

    store: Store
    api: SlackApi
    voting: VotingDesk
    corrections: CorrectionDesk
    reviews: ReviewDesk
    handoffs: HandoffDesk
    patterns: PatternDesk
    admin: AdminDesk
    directory: Directory
    operators: OperatorCommands
    experiments: ExperimentDesk
    home: HomePages
    effects_owed: Callable[[], None]

    async def redraw_home(self, team: str, user: str, *, seen: str | None = None) -> None:
        """Draws somebody's App Home anew, best effort: the next look at it draws it anyway."""
        try:
            await self.home.publish(team, user, seen=seen)
        except UnderstudyError as exc:
            _log.info("the App Home of %s is not drawn anew: %s", user, exc)


class Topic:
    """Base of the topics: closing deliveries, opening modals, telling people."""

    def __init__(self, parts: ListenerParts) -> None:
        self._parts = parts

    def _telling(self, clicked: Delivered) -> "Telling":
        return Telling(self._parts.api, clicked, self._close)

    async def _open(self, body: dict[str, Any], title: str, form: Awaitable[Block]) -> None:
        """Opens a modal that needs the database, which may be slower than the trigger lives."""
        loader = asyncio.ensure_future(form)
        done, _ = await asyncio.wait({loader}, timeout=DATABASE_PATIENCE_S)
        if done:
            await self._parts.api.open_view(body["trigger_id"], loader.result())
            return
        opened = await self._parts.api.open_view(body["trigger_id"], loading(title))
        await self._parts.api.update_view(opened["id"], await loader)

    async def _close(self, handled: Delivered) -> None:
        if handled.delivery_id is not None:
            async with self._parts.store.begin() as tx:
                await tx.inbox.finish(handled.delivery_id)


class Telling:
    """Turns a failure into a private sentence; what may succeed later stays for a worker."""

    def __init__(
        self, api: SlackApi, clicked: Delivered, close: Callable[[Delivered], Awaitable[None]]
    ) -> None:
        self._api = api
        self._clicked = clicked
        self._close = close

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, UnderstudyError) or isinstance(error, TokenRefusedError):
            return False  # nothing can be said with a refused token: the workspace is disabled
        _log.warning("click of %s refused: %s", self._clicked.user, error)
        await tell(self._api, self._clicked, refusal(error))
        if isinstance(error, PermanentError):
            await self._close(self._clicked)
        return True


def delivered(body: dict[str, Any], context: AsyncBoltContext) -> Delivered:
    """Returns a payload with what the inbox gate noted about it."""
    return Delivered(
        body=body,
        event_id=context["event_id"],
        received_ts=context["received_ts"],
        delivery_id=context["delivery_id"],
    )


def refusal(error: UnderstudyError) -> str:
    """Returns a short, kind sentence without any internals."""
    if isinstance(error, InvalidInputError):
        return str(error)
    found = (sentence for kind, sentence in _REFUSALS if isinstance(error, kind))
    return next(found, "That did not work just now. Please click again.")


async def whisper(api: SlackApi, clicked: Delivered, text: str) -> None:
    """Tells the one who clicked, and nobody else; never fails."""
    if clicked.channel is None:
        return
    try:
        await api.whisper(clicked.channel, clicked.user, text, thread_ts=clicked.thread_ts)
    except UnderstudyError as exc:
        _log.info("no private note to %s: %s", clicked.user, exc)


async def tell(api: SlackApi, clicked: Delivered, text: str) -> None:
    """Tells the one who clicked: in the channel, or in a small modal in the App Home."""
    trigger = clicked.body.get("trigger_id")
    if clicked.channel is not None or not trigger:
        await whisper(api, clicked, text)
        return
    try:
        await api.open_view(str(trigger), note("One moment", text))
    except UnderstudyError as exc:
        _log.info("no private note to %s: %s", clicked.user, exc)
