"""A promotion that a person asked for: the same guards as every other, and it is said what came.

The request is a row. The step of the running experiment carries it out or refuses it; one of an
experiment that is over is taken by `retrain.cycle.overriding`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from feedback.clock import Clock
from feedback.domain.operating import FROZEN, PromotionRequest, model_name
from feedback.domain.trial import Trial
from feedback.errors import ConflictError
from feedback.operations import quoted
from feedback.store.unit_of_work import Transaction
from retrain.experiments.machine import Standing, State, Trigger, transition

PROMOTED_BY_HAND = "PROMOTED_BY_HAND"
CANCELLED = "CANCELLED"
"""Decisions of an experiment that people made, beside those of the engine."""


@dataclass(frozen=True, kw_only=True)
class Promotions:
    """Requests for promotions by hand.

    Attributes:
        operators_channel: Where refusals are told; empty: nowhere.
    """

    clock: Clock
    operators_channel: str = ""

    async def accepted(self, tx: Transaction, trial: Trial) -> PromotionRequest | None:
        """Returns the request to carry out now; one that may not be is refused and closed."""
        request = await tx.promotion_requests.waiting(trial.id)
        if request is None:
            return None
        refused = await self._refused(tx, trial, request)
        if refused is None:
            await tx.promotion_requests.close(request.id, "carried out", at=self.clock.now())
            return request
        await self.refuse(tx, request, trial.state, refused)
        return None

    async def _refused(
        self, tx: Transaction, trial: Trial, request: PromotionRequest
    ) -> str | None:
        """Returns why a request may not be carried out, None when it may."""
        frozen = await tx.switches.get(FROZEN) == "on"
        paused = trial.paused_at is not None
        standing = Standing(state=State(trial.state), paused=paused, frozen=frozen)
        try:
            transition(standing, Trigger.OVERRIDDEN)
        except ConflictError as exc:
            return str(exc)
        champion, version = await tx.adapters.champion()
        if version != request.champion_version:
            return f"the champion is {model_name(champion.id if champion else None)} by now"
        active = await tx.deployments.active()
        if active is None or trial.challenger_id not in active.proven:
            return f"{trial.challenger_id} is not proven to be served at the moment"
        return None

    async def refuse(
        self, tx: Transaction, request: PromotionRequest, state: str, why: str
    ) -> None:
        """Closes a request that is not carried out, and says why."""
        now = self.clock.now()
        await tx.promotion_requests.close(request.id, f"refused: {why}", at=now)
        await tx.audit.append(
            subject=f"experiment:{request.experiment_id}",
            from_state=state,
            to_state=state,
            actor="scheduler",
            reason=f"promotion by hand refused: {why}",
            at=now,
            data={"request": request.id},
        )
        if self.operators_channel:
            text = f":no_entry: The promotion asked for by hand was *not* made: {quoted(why)}."
            await tx.outbox.add(
                key=f"promotion-request:{request.id}:refused",
                kind="slack_message",
                payload={"channel": self.operators_channel, "text": text},
            )


def by_hand_row(request: PromotionRequest) -> Mapping[str, Any]:
    """Returns what the experiment keeps of the request that ended it."""
    return {"by": request.requested_by, "reason": request.reason, "request": request.id}
