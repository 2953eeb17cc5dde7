"""Interactions whose listener died between the acknowledgement and the effect.

Slack never repeats a click, so the stored payload is applied by a worker, without the modal that
its expired trigger would have opened. Effects that happened already are recognised.
"""

import logging
from collections.abc import Awaitable, Callable

from bot.correcting import CorrectionDesk
from bot.slack.forms import Delivered, click_of, draft_of, reasons_of, vote_of
from bot.slack.views.answers import REASON_MODAL, VOTE_ACTION
from bot.slack.views.corrections import CONFIRM_MODAL
from bot.slack.views.reviews import (
    APPROVE_ACTION,
    CLAIM_ACTION,
    ESCALATE_ACTION,
    REJECT_ACTION,
)
from bot.voting import VotingDesk
from feedback.domain.correction import Decision
from feedback.errors import PermanentError

_log = logging.getLogger(__name__)

DECISIONS = {
    APPROVE_ACTION: Decision.APPROVE,
    REJECT_ACTION: Decision.REJECT,
    ESCALATE_ACTION: Decision.ESCALATE,
}


class LateInteractions:
    """Applies stored clicks and submissions."""

    def __init__(
        self,
        voting: VotingDesk,
        corrections: CorrectionDesk,
        *,
        effects_owed: Callable[[], None],
    ) -> None:
        self._effects_owed = effects_owed
        self._voting = voting
        self._corrections = corrections
        self._effects: dict[str, Callable[[Delivered], Awaitable[object]]] = {
            VOTE_ACTION: self._vote,
            REASON_MODAL: self._explain,
            CONFIRM_MODAL: self._confirm,
            CLAIM_ACTION: self._claim,
            **dict.fromkeys(DECISIONS, self._decide),
        }

    async def apply(self, delivered: Delivered) -> None:
        """Applies a payload once more; whatever is stale, forbidden or unknown is left alone."""
        effect = self._effects.get(subject_of(delivered))
        if effect is None:
            return
        try:
            await effect(delivered)
            self._effects_owed()
        except PermanentError as exc:
            _log.warning("a stored interaction has no effect any more: %s", exc)

    async def _vote(self, delivered: Delivered) -> None:
        interaction_id, rating = vote_of(delivered)
        await self._voting.click(delivered.act(), interaction_id, rating)

    async def _explain(self, delivered: Delivered) -> None:
        interaction_id, reasons, comment = reasons_of(delivered)
        await self._voting.explain(delivered.act(), interaction_id, reasons, comment)

    async def _confirm(self, delivered: Delivered) -> None:
        await self._corrections.confirm(delivered.team, delivered.user, draft_of(delivered))

    async def _claim(self, delivered: Delivered) -> None:
        await self._corrections.claim(click_of(delivered))

    async def _decide(self, delivered: Delivered) -> None:
        decision = DECISIONS[subject_of(delivered)]
        await self._corrections.decide(click_of(delivered), decision)


def subject_of(delivered: Delivered) -> str:
    """Returns the action or callback that a payload is about."""
    if delivered.body["type"] == "block_actions":
        return str((delivered.body.get("actions") or [{}])[0].get("action_id", ""))
    if delivered.body["type"] == "view_submission":
        return str(delivered.body["view"].get("callback_id", ""))
    return str(delivered.body.get("callback_id", ""))
