"""Clicks on review cards and the reviewer's own edit."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.correcting import Click
from bot.slack.forms import Delivered, click_of, edit_of, subject_of
from bot.slack.listeners.base import Heard, Topic, delivered, refusal
from bot.slack.views.blocks import Block
from bot.slack.views.reviews import (
    APPROVE_ACTION,
    CLAIM_ACTION,
    EDIT_ACTION,
    EDIT_MODAL,
    ESCALATE_ACTION,
    REJECT_ACTION,
    edit_modal,
)
from feedback.domain.correction import Decision
from feedback.errors import PermanentError

DECISIONS = {
    APPROVE_ACTION: Decision.APPROVE,
    REJECT_ACTION: Decision.REJECT,
    ESCALATE_ACTION: Decision.ESCALATE,
}


class ReviewListeners(Topic):
    """How a proposed correction is decided."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={
                CLAIM_ACTION: self.claim,
                EDIT_ACTION: self.edit,
                **dict.fromkeys(DECISIONS, self.decide),
            },
            views={EDIT_MODAL: self.save_edit},
            late={CLAIM_ACTION: self._late_claim, **dict.fromkeys(DECISIONS, self._late_decision)},
        )

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

    async def _review(
        self, clicked: Delivered, action: Callable[[Click], Awaitable[object]]
    ) -> None:
        async with self._telling(clicked):
            await action(click_of(clicked))
            self._parts.effects_owed()

    async def _late_claim(self, stored: Delivered) -> None:
        await self._parts.corrections.claim(click_of(stored))

    async def _late_decision(self, stored: Delivered) -> None:
        await self._parts.corrections.decide(click_of(stored), DECISIONS[subject_of(stored)])
