"""Clicks on review cards, the reviewer's own edit, and decisions with a note."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.reviewing import Click
from bot.slack.forms import Delivered, click_of, decision_of, edit_of, subject_of
from bot.slack.listeners.base import Heard, Topic, delivered, refusal, tell
from bot.slack.views.blocks import Block
from bot.slack.views.reviews import (
    APPROVE_ACTION,
    CLAIM_ACTION,
    DECIDE_MODAL,
    EDIT_ACTION,
    EDIT_MODAL,
    ESCALATE_ACTION,
    REJECT_ACTION,
    SKIP_ACTION,
    decision_modal,
    edit_modal,
)
from feedback.domain.correction import Decision
from feedback.errors import PermanentError

DECISIONS = {
    APPROVE_ACTION: Decision.APPROVE,
    REJECT_ACTION: Decision.REJECT,
}


class ReviewListeners(Topic):
    """How a proposed correction is decided."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={
                CLAIM_ACTION: self.claim,
                EDIT_ACTION: self.edit,
                ESCALATE_ACTION: self.escalate,
                SKIP_ACTION: self.skip,
                **dict.fromkeys(DECISIONS, self.decide),
            },
            views={EDIT_MODAL: self.save_edit, DECIDE_MODAL: self.submit},
            late={
                CLAIM_ACTION: self._late_claim,
                SKIP_ACTION: self._late_skip,
                DECIDE_MODAL: self._late_submission,
                **dict.fromkeys(DECISIONS, self._late_decision),
            },
        )

    async def claim(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Claim"."""
        await ack()
        await self._review(delivered(body, context), self._parts.reviews.claim)

    async def decide(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Approve" or "Reject"."""
        await ack()
        clicked = delivered(body, context)
        decision = DECISIONS[subject_of(clicked)]
        await self._review(clicked, lambda click: self._parts.reviews.decide(click, decision))

    async def edit(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Edit"."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            return edit_modal(await self._parts.reviews.reviewable(click_of(clicked)))

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
            await self._parts.reviews.edit(click, text)
        except PermanentError as exc:
            await ack(response_action="errors", errors={"answer": refusal(exc)})
            await self._close(submitted)
            return
        self._parts.effects_owed()
        await ack()

    async def escalate(
        self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext
    ) -> None:
        """A click on "Escalate": asks for a note first."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            correction = await self._parts.reviews.reviewable(click_of(clicked))
            return decision_modal(correction, only=Decision.ESCALATE)

        async with self._telling(clicked):
            await self._open(body, "Escalate", form())
            await self._close(clicked)

    async def submit(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A decision with a note."""
        submitted = delivered(body, context)
        try:
            await self._parts.reviews.decide(*decision_of(submitted))
        except PermanentError as exc:
            await ack(response_action="errors", errors={"note": refusal(exc)})
            await self._close(submitted)
            return
        self._parts.effects_owed()
        await ack()
        await self._parts.redraw_home(submitted.team, submitted.user)

    async def skip(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Skip"."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._parts.reviews.skip(click_of(clicked))
            self._parts.effects_owed()
            await tell(self._parts.api, clicked, "Okay, I leave this one to the others.")

    async def _review(
        self, clicked: Delivered, action: Callable[[Click], Awaitable[object]]
    ) -> None:
        async with self._telling(clicked):
            await action(click_of(clicked))
            self._parts.effects_owed()

    async def _late_claim(self, stored: Delivered) -> None:
        await self._parts.reviews.claim(click_of(stored))

    async def _late_decision(self, stored: Delivered) -> None:
        await self._parts.reviews.decide(click_of(stored), DECISIONS[subject_of(stored)])

    async def _late_skip(self, stored: Delivered) -> None:
        await self._parts.reviews.skip(click_of(stored))

    async def _late_submission(self, stored: Delivered) -> None:
        await self._parts.reviews.decide(*decision_of(stored))
