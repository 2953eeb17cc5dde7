"""Frees what people took and never finished, and forgets what nobody comes back for."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from bot.correcting import owe_card
from bot.handing_off import owe_message
from bot.notices import SLACK_MESSAGE
from bot.slack.asking import DIRECT_MESSAGE
from bot.slack.views.handoffs import again_text
from feedback.clock import Clock
from feedback.domain.correction import Correction
from feedback.domain.handoff import Handoff
from feedback.errors import RetryableError
from feedback.settings import Settings
from feedback.store.unit_of_work import Store, Transaction

_log = logging.getLogger(__name__)

_LOOK_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long things wait for the one who took them.

    Attributes:
        claim: A claimed correction, for its decision.
        handoff: A question that a colleague took, for the answer.
        parked: Deliveries of a workspace without a good token, for its next installation.
    """

    claim: timedelta
    handoff: timedelta
    parked: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Returns what the settings say."""
        return cls(
            claim=timedelta(hours=settings.review.claim_hours),
            handoff=timedelta(hours=settings.slack.handoff_hours),
            parked=timedelta(days=settings.slack.parked_days),
        )


class Expiring:
    """Looks from time to time, in every bot process; each thing expires in one of them.

    Args:
        store: The record.
        clock: The time.
        patience: How long things wait.
        effects_owed: Called when an effect was written to the outbox.
    """

    def __init__(
        self, store: Store, clock: Clock, patience: Patience, *, effects_owed: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._effects_owed = effects_owed

    async def keep(self, stop: asyncio.Event) -> None:
        """Looks until `stop` is set."""
        while not stop.is_set():
            try:
                await self.look()
            except RetryableError as exc:
                _log.warning("cannot look for what has expired: %s", exc)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await stop.wait()

    async def look(self) -> None:
        """Lets expire what has waited long enough; people see it where they would act on it.

        Raises:
            RetryableError: The database is not there.
        """
        now = self._clock.now()
        async with self._store.begin() as tx:
            freed = await tx.expiring.free_claims(now - self._patience.claim)
            for correction, reviewer in freed:
                await _free(tx, correction, reviewer)
            reopened = await tx.expiring.reopen_handoffs(now - self._patience.handoff)
            for handoff, colleague in reopened:
                await _call_again(tx, handoff, colleague)
            forgotten = await tx.expiring.forget_parked(now - self._patience.parked)
        if forgotten:
            _log.warning("%s deliveries waited in vain for an installation; erased", forgotten)
        if freed or reopened:
            self._effects_owed()


async def _free(tx: Transaction, correction: Correction, reviewer: str) -> None:
    await owe_card(tx, correction)
    text = (
        "You claimed a correction some time ago, and it still waits for a decision. "
        "I gave it back to everybody; you may claim it again."
    )
    await tx.outbox.add(
        f"claim_over:{correction.id}:{correction.row_version}",
        DIRECT_MESSAGE,
        {"team": correction.team, "user": reviewer, "text": text},
    )


async def _call_again(tx: Transaction, handoff: Handoff, colleague: str) -> None:
    """Draws the button anew, and says so below: a message that changes calls nobody."""
    await owe_message(tx, handoff)
    await tx.outbox.add(
        f"handoff_again:{handoff.id}:{handoff.row_version}",
        SLACK_MESSAGE,
        {
            "team": handoff.team,
            "channel": handoff.channel,
            "thread_ts": handoff.thread_key.rpartition(":")[2],
            "text": again_text(handoff, colleague),
        },
    )
