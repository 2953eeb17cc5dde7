"""Thumbs on answers and the reasons behind them."""

import logging
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.forms import Delivered, reasons_of, vote_of
from bot.slack.listeners.base import Heard, Topic, delivered, whisper
from bot.slack.views.answers import REASON_MODAL, VOTE_ACTION, reason_modal
from feedback.domain.interaction import Rating
from feedback.errors import PermanentError, UnderstudyError

_log = logging.getLogger(__name__)


class AnswerListeners(Topic):
    """What people think of an answer."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={VOTE_ACTION: self.vote},
            views={REASON_MODAL: self.explain},
            late={VOTE_ACTION: self._late_vote, REASON_MODAL: self._late_reasons},
        )

    async def vote(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on a feedback button; a thumb down opens the reason modal first."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            interaction_id, rating = vote_of(clicked)
            if rating is Rating.DOWN:
                await self._ask_why(body, clicked, interaction_id)
            await self._parts.voting.click(clicked.act(), interaction_id, rating)
            if rating is Rating.UP:
                await whisper(self._parts.api, clicked, "Thank you, noted.")

    async def explain(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """The submitted reason modal."""
        submitted = delivered(body, context)
        try:
            interaction_id, reasons, comment = reasons_of(submitted)
            vote = await self._parts.voting.explain(
                submitted.act(), interaction_id, reasons, comment
            )
        except PermanentError as exc:
            _log.warning("reasons refused: %s", exc)
            await self._close(submitted)
            await ack()
            return
        await ack()
        if vote is not None:
            await self._thank(submitted, interaction_id)

    async def _ask_why(self, body: dict[str, Any], clicked: Delivered, interaction_id: str) -> None:
        try:
            await self._parts.api.open_view(body["trigger_id"], reason_modal(interaction_id))
        except UnderstudyError as exc:
            _log.warning("the reason modal did not open, the vote stays: %s", exc)
            await whisper(self._parts.api, clicked, "Noted. Click again to say what was wrong.")

    async def _thank(self, submitted: Delivered, interaction_id: str) -> None:
        """Thanks in private where the answer stands; a submission does not say where that is."""
        try:
            found = await self._parts.voting.interaction(submitted.team, interaction_id)
            root = found.thread_key.rpartition(":")[2]
            await self._parts.api.whisper(
                found.channel, submitted.user, "Thank you, this helps me learn.", thread_ts=root
            )
        except UnderstudyError as exc:
            _log.info("no thanks to %s: %s", submitted.user, exc)

    async def _late_vote(self, stored: Delivered) -> None:
        interaction_id, rating = vote_of(stored)
        await self._parts.voting.click(stored.act(), interaction_id, rating)

    async def _late_reasons(self, stored: Delivered) -> None:
        interaction_id, reasons, comment = reasons_of(stored)
        await self._parts.voting.explain(stored.act(), interaction_id, reasons, comment)
