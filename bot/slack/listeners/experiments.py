"""Clicks on the card of a promotion, and on two answers to compare."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.experimenting import Comparison, Ruling
from bot.slack.forms import Delivered, pair_of, promotion_of, subject_of
from bot.slack.listeners.base import Heard, Topic, delivered, whisper
from bot.slack.views.blocks import Block
from bot.slack.views.experiments import (
    DENY_ACTION,
    GRANT_ACTION,
    PAIR_ACTIONS,
    approval_blocks,
    approval_text,
    pair_blocks,
    pair_text,
)
from feedback.domain.trial import Verdict

VERDICTS = {GRANT_ACTION: Verdict.GRANTED, DENY_ACTION: Verdict.DENIED}


class ExperimentListeners(Topic):
    """What people say about challengers."""

    def heard(self) -> Heard:
        """Returns what this topic listens to."""
        return Heard(
            actions={
                **dict.fromkeys(VERDICTS, self.rule),
                **dict.fromkeys(PAIR_ACTIONS, self.compare),
            },
            late={
                **dict.fromkeys(VERDICTS, self._rule),
                **dict.fromkeys(PAIR_ACTIONS, self._compare),
            },
        )

    async def rule(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on "Promote" or "Do not promote"."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._rule(clicked)

    async def compare(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """A click on one of two answers."""
        await ack()
        clicked = delivered(body, context)
        async with self._telling(clicked):
            await self._compare(clicked)

    async def _rule(self, clicked: Delivered) -> None:
        experiment_id, version = promotion_of(clicked)
        said, trial, approval = await self._parts.experiments.rule(
            Ruling(
                team=clicked.team,
                user=clicked.user,
                experiment_id=experiment_id,
                version=version,
                verdict=VERDICTS[subject_of(clicked)],
                delivery_id=clicked.delivery_id,
            )
        )
        await whisper(self._parts.api, clicked, said)
        if trial is not None and approval is not None and approval.verdict is not None:
            await self._redraw(
                clicked, approval_text(trial, approval), approval_blocks(trial, approval)
            )

    async def _compare(self, clicked: Delivered) -> None:
        pair = await self._parts.experiments.compare(
            Comparison(
                team=clicked.team,
                user=clicked.user,
                pair_id=pair_of(clicked),
                side=PAIR_ACTIONS[subject_of(clicked)],
                delivery_id=clicked.delivery_id,
            )
        )
        await self._redraw(clicked, pair_text(pair), pair_blocks(pair))

    async def _redraw(self, clicked: Delivered, text: str, blocks: list[Block]) -> None:
        """Draws the card anew; the decision is in the record, whatever becomes of the card."""
        ts = (clicked.body.get("message") or {}).get("ts")
        if clicked.channel is not None and ts:
            await self._parts.api.update(clicked.channel, str(ts), text, blocks=blocks)
