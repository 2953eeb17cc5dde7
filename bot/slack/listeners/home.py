"""Buttons of the App Home: the reviewers' queue, imported candidates, roles, channels."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.forms import Delivered, actor_of, channel_form_of, click_of, picked_of, role_form_of
from bot.slack.listeners.base import Heard, Topic, delivered, refusal
from bot.slack.views.administering import CHANNEL_MODAL, ROLE_MODAL, channel_modal, role_modal
from bot.slack.views.blocks import Block
from bot.slack.views.home import (
    ADOPT_ACTION,
    ADOPTED_AT_ONCE,
    CHANNEL_ACTION,
    CLAIM_ACTION,
    OPEN_ACTION,
    REVIEW_ACTION,
    ROLE_ACTION,
)
from bot.slack.views.reviews import decision_modal
from feedback.errors import PermanentError


class HomeListeners(Topic):
    """What people do in the App Home."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={
                REVIEW_ACTION: self.review,
                CLAIM_ACTION: self.claim,
                OPEN_ACTION: self.link,
                ADOPT_ACTION: self.adopt,
                ROLE_ACTION: self.role,
                CHANNEL_ACTION: self.channel,
            },
            views={ROLE_MODAL: self.save_role, CHANNEL_MODAL: self.save_channel},
            late={
                CLAIM_ACTION: self._late_claim,
                ADOPT_ACTION: self._late_adoption,
                ROLE_MODAL: self._late_role,
                CHANNEL_MODAL: self._late_channel,
            },
        )

    async def review(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Review": the decision is made in a modal."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            correction = await self._parts.reviews.reviewable(click_of(clicked))
            return decision_modal(correction)

        async with self._telling(clicked):
            await self._open(body, "Review", form())
            await self._close(clicked)

    async def claim(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Claim" in the queue."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._parts.reviews.claim(click_of(clicked))
            self._parts.effects_owed()
        await self._redraw(clicked)

    async def link(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on a link, which Slack follows by itself."""
        await ack()
        await self._close(delivered(body, context))

    async def adopt(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Take over" below imported candidates."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._parts.admin.adopt(actor_of(clicked), limit=ADOPTED_AT_ONCE)
            self._parts.effects_owed()
        await self._redraw(clicked)

    async def role(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Change a role"; whether they may is checked when they save."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._parts.api.open_view(body["trigger_id"], role_modal())
            await self._close(clicked)

    async def channel(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A channel was picked to be set up."""
        await ack()
        clicked = delivered(body, context)

        async def form() -> Block:
            channel = picked_of(clicked)
            settings = await self._parts.admin.channel(actor_of(clicked), channel)
            return channel_modal(channel, settings, await self._parts.api.groups())

        async with self._telling(clicked):
            await self._open(body, "Channel settings", form())
            await self._close(clicked)

    async def save_role(
        self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext
    ) -> None:
        """A submitted role."""
        submitted = delivered(body, context)
        try:
            await self._set_role(submitted)
        except PermanentError as exc:
            await ack(response_action="errors", errors={"role": refusal(exc)})
            await self._close(submitted)
            return
        await ack()
        _, role = role_form_of(submitted)
        if role is None:
            await self._parts.directory.sync()
        await self._parts.redraw_home(submitted.team, submitted.user)

    async def save_channel(
        self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext
    ) -> None:
        """Submitted channel settings."""
        submitted = delivered(body, context)
        try:
            await self._set_channel(submitted)
        except PermanentError as exc:
            await ack(response_action="errors", errors={"on_call_person": refusal(exc)})
            await self._close(submitted)
            return
        await ack()
        await self._parts.redraw_home(submitted.team, submitted.user)

    async def _set_role(self, submitted: Delivered) -> None:
        await self._parts.admin.set_role(actor_of(submitted), *role_form_of(submitted))

    async def _set_channel(self, submitted: Delivered) -> None:
        await self._parts.admin.set_channel(actor_of(submitted), *channel_form_of(submitted))

    async def _redraw(self, clicked: Delivered) -> None:
        view = clicked.body.get("view") or {}
        await self._parts.redraw_home(clicked.team, clicked.user, seen=view.get("hash"))

    async def _late_claim(self, stored: Delivered) -> None:
        await self._parts.reviews.claim(click_of(stored))

    async def _late_adoption(self, stored: Delivered) -> None:
        await self._parts.admin.adopt(actor_of(stored), limit=ADOPTED_AT_ONCE)

    async def _late_role(self, stored: Delivered) -> None:
        await self._set_role(stored)

    async def _late_channel(self, stored: Delivered) -> None:
        await self._set_channel(stored)
