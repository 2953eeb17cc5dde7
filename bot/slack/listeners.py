"""Thin Bolt listeners: acknowledge, call the use case, show the outcome to the one who clicked."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.correcting import Click, CorrectionDesk
from bot.in_flight import InFlight
from bot.slack.api import SlackApi
from bot.slack.forms import (
    Delivered,
    answer_of,
    click_of,
    draft_of,
    edit_of,
    proposal_of,
    reasons_of,
    vote_of,
)
from bot.slack.late import DECISIONS, subject_of
from bot.slack.payloads import plain_text
from bot.slack.views.answers import reason_modal
from bot.slack.views.blocks import Block, loading
from bot.slack.views.corrections import confirm_modal, correction_modal
from bot.slack.views.reviews import edit_modal
from bot.voting import VotingDesk
from feedback.domain.interaction import Rating
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
"""What Bolt calls; it injects by these parameter names: ack, body, context."""

DATABASE_PATIENCE_S = 1.0
"""A trigger lives about 3 s: after this long the modal opens empty and is filled later."""


@dataclass(frozen=True, kw_only=True)
class ListenerParts:
    """Everything that clicks can lead to.

    Attributes:
        effects_owed: Called when an effect was written to the outbox.
        in_flight: Told what is being handled, so that a stop can wait for it.
    """

    store: Store
    api: SlackApi
    voting: VotingDesk
    corrections: CorrectionDesk
    effects_owed: Callable[[], None]
    in_flight: InFlight


class Listeners:
    """One method per thing that people can click or submit."""

    def __init__(self, parts: ListenerParts) -> None:
        self._parts = parts

    def tracked(self, listener: Listener) -> Listener:
        """Returns a listener that a stop of the process waits for."""

        async def handle(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
            with self._parts.in_flight.working():
                await listener(ack, body, context)

        return handle

    async def vote(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on a feedback button; a thumb down opens the reason modal first."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            interaction_id, rating = vote_of(clicked)
            if rating is Rating.DOWN:
                await self._ask_why(body, interaction_id)
            await self._parts.voting.click(clicked.act(), interaction_id, rating)
            if rating is Rating.UP:
                await whisper(self._parts.api, clicked, "Thank you, noted.")

    async def explain(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """The submitted reason modal."""
        submitted = delivered(body, context)
        try:
            interaction_id, reasons, comment = reasons_of(submitted)
            await self._parts.voting.explain(submitted.act(), interaction_id, reasons, comment)
        except PermanentError as exc:
            _log.warning("reasons refused: %s", exc)
            await self._close(submitted)
        await ack()

    async def correct(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Correct"."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            interaction = await self._parts.voting.interaction(clicked.team, answer_of(clicked))
            return correction_modal(interaction.id, interaction.question, interaction.answer or "")

        async with self._telling(clicked):
            await self._open(body, "Correct this answer", form())
            await self._close(clicked)

    async def teach(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """The shortcut on a colleague's better reply in the thread."""
        await ack()
        picked = delivered(body, context)
        message = body.get("message") or {}

        async def form() -> Block:
            interaction = await self._parts.corrections.answer_before(
                picked.team, picked.channel or "", picked.thread_ts or "", str(message.get("ts"))
            )
            text = plain_text(str(message.get("text") or ""), bot="")
            return correction_modal(interaction.id, interaction.question, text, taught=True)

        async with self._telling(picked):
            await self._open(body, "Teach this reply", form())
            await self._close(picked)

    async def draft(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """The submitted correction form: stored as a draft, then shown for confirmation."""
        submitted = delivered(body, context)
        try:
            draft = await self._parts.corrections.draft(proposal_of(submitted))
        except (InvalidInputError, NotFoundError) as exc:
            await ack(response_action="errors", errors={"answer": str(exc)})
        else:
            view = confirm_modal(draft.correction, draft.findings)
            await ack(response_action="update", view=view)
        await self._close(submitted)

    async def confirm(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """The confirmed draft becomes a proposed correction."""
        submitted = delivered(body, context)
        await self._parts.corrections.confirm(
            submitted.team,
            submitted.user,
            draft_of(submitted),
            delivery_id=submitted.delivery_id,
        )
        self._parts.effects_owed()
        await ack(response_action="clear")

    async def claim(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Claim"."""
        await ack()
        await self._review(delivered(body, context), self._parts.corrections.claim)

    async def decide(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Approve", "Reject" or "Escalate"."""
        await ack()
        clicked = delivered(body, context)
        decision = DECISIONS[subject_of(clicked)]
        await self._review(clicked, lambda click: self._parts.corrections.decide(click, decision))

    async def edit(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Edit"."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            return edit_modal(await self._parts.corrections.reviewable(click_of(clicked)))

        async with self._telling(clicked):
            await self._open(body, "Edit the correction", form())
            await self._close(clicked)

    async def save_edit(
        self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext
    ) -> None:
        """A reviewer's submitted text."""
        submitted = delivered(body, context)
        try:
            click, text = edit_of(submitted)
            await self._parts.corrections.edit(click, text)
        except PermanentError as exc:
            await ack(response_action="errors", errors={"answer": refusal(exc)})
            await self._close(submitted)
            return
        self._parts.effects_owed()
        await ack()

    async def ignore(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """Anything that needs no effect: links, closed views, unknown shortcuts."""
        await ack()
        await self._close(delivered(body, context))

    def _telling(self, clicked: Delivered) -> "_Telling":
        return _Telling(self._parts.api, clicked, self._close)

    async def _review(
        self, clicked: Delivered, action: Callable[[Click], Awaitable[object]]
    ) -> None:
        async with self._telling(clicked):
            await action(click_of(clicked))
            self._parts.effects_owed()

    async def _ask_why(self, body: dict[str, Any], interaction_id: str) -> None:
        try:
            await self._parts.api.open_view(body["trigger_id"], reason_modal(interaction_id))
        except UnderstudyError as exc:
            _log.warning("the reason modal did not open, the vote stays: %s", exc)

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


class _Telling:
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
        if not isinstance(error, UnderstudyError):
            return False
        _log.warning("click of %s refused: %s", self._clicked.user, error)
        await whisper(self._api, self._clicked, refusal(error))
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
    match error:
        case ConflictError():
            return "Somebody was faster: please look at the newest card."
        case NotAllowedError() if "wrote correction" in str(error):
            return "You wrote this correction, so another reviewer has to approve it."
        case NotAllowedError():
            return "Your role does not permit this. An admin can change that."
        case NotFoundError():
            return "I cannot find that answer any more."
        case InvalidInputError():
            return str(error)
        case _:
            return "That did not work just now. Please click again."


async def whisper(api: SlackApi, clicked: Delivered, text: str) -> None:
    """Tells the one who clicked, and nobody else; never fails."""
    if clicked.channel is None:
        return
    try:
        await api.whisper(clicked.channel, clicked.user, text, thread_ts=clicked.thread_ts)
    except UnderstudyError as exc:
        _log.info("no private note to %s: %s", clicked.user, exc)
