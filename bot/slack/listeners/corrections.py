"""Corrections: the form, the teaching shortcut, the draft and its confirmation."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.forms import Delivered, answer_of, draft_of, proposal_of
from bot.slack.listeners.base import Heard, Topic, delivered, tell
from bot.slack.payloads import plain_text
from bot.slack.views.answers import CORRECT_ACTION
from bot.slack.views.blocks import Block
from bot.slack.views.corrections import (
    CONFIRM_MODAL,
    CORRECTION_MODAL,
    TEACH_SHORTCUT,
    confirm_modal,
    correction_modal,
)
from feedback.errors import InvalidInputError, NotFoundError

BOT_REPLY = "Pick a colleague's reply; mine is corrected with the button below it."


class CorrectionListeners(Topic):
    """How a better answer is proposed."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={CORRECT_ACTION: self.correct},
            views={CORRECTION_MODAL: self.draft, CONFIRM_MODAL: self.confirm},
            shortcuts={TEACH_SHORTCUT: self.teach},
            late={CONFIRM_MODAL: self._late_confirmation},
        )

    async def correct(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Correct"."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            interaction = await self._parts.voting.interaction(clicked.team, answer_of(clicked))
            return correction_modal(
                interaction.id,
                interaction.question,
                interaction.answer or "",
                sources=await self._parts.corrections.sources(interaction),
            )

        async with self._telling(clicked):
            await self._open(body, "Correct this answer", form())
            await self._close(clicked)

    async def teach(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """The shortcut on a colleague's better reply in the thread."""
        await ack()
        picked = delivered(body, context)
        message = body.get("message") or {}
        if message.get("bot_id") or not message.get("user"):
            await tell(self._parts.api, picked, BOT_REPLY)
            await self._close(picked)
            return

        async def form() -> Block:
            interaction = await self._parts.corrections.answer_before(
                picked.team, picked.channel or "", picked.thread_ts or "", str(message.get("ts"))
            )
            return correction_modal(
                interaction.id,
                interaction.question,
                plain_text(str(message.get("text") or ""), bot=""),
                sources=await self._parts.corrections.sources(interaction),
                taught_from=str(message["user"]),
            )

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

    async def _late_confirmation(self, stored: Delivered) -> None:
        await self._parts.corrections.confirm(stored.team, stored.user, draft_of(stored))
