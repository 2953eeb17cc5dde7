"""Promotions by hand of experiments that are over: one that ended undecided may still be won.

No cycle is open for such an experiment any more, so the scheduler looks at these requests itself.
"""

from feedback.domain.operating import PromotionRequest, model_name
from feedback.domain.override import OverrideFacts, objections
from feedback.operations import quoted
from feedback.overriding import read_override
from feedback.store.routing import RUNNING_STATES
from feedback.store.unit_of_work import Store, Transaction
from retrain.cycle.by_hand import PROMOTED_BY_HAND, Promotions, by_hand_row
from retrain.cycle.holdback import crown
from retrain.cycle.trials import TrialMover
from retrain.experiments.machine import Trigger


class Overrides:
    """Carries out or refuses requests that no running experiment takes."""

    def __init__(self, store: Store, mover: TrialMover, promotions: Promotions) -> None:
        self._store = store
        self._mover = mover
        self._promotions = promotions

    async def look(self) -> None:
        """Closes every such request, each with its effect in one transaction.

        Raises:
            ConflictError: When somebody moved the pointer or the experiment meanwhile.
        """
        async with self._store.begin() as tx:
            requests = await tx.promotion_requests.orphans(RUNNING_STATES)
        for request in requests:
            async with self._store.begin() as tx:
                await self._settle(tx, request)

    async def _settle(self, tx: Transaction, request: PromotionRequest) -> None:
        trial = await tx.experiments.get(request.experiment_id)
        assert trial is not None, "a request goes with its experiment"
        facts = await read_override(tx, trial)
        refused = await self._refused(tx, request, facts)
        if refused is not None:
            await self._promotions.refuse(tx, request, trial.state, refused)
            return
        await tx.promotion_requests.close(request.id, "carried out", at=self._mover.clock.now())
        await self._carry_out(tx, request, facts)

    async def _refused(
        self, tx: Transaction, request: PromotionRequest, facts: OverrideFacts
    ) -> str | None:
        """Returns why a request may not be carried out, None when it may."""
        trial = facts.trial
        if not trial.undecided or trial.ended_at is None or request.created_at < trial.ended_at:
            again = "; ask again to go over that" if trial.undecided else ""
            return f"the experiment ended first: {trial.decision or trial.state}{again}"
        _, version = await tx.adapters.champion()
        if version != request.champion_version:
            return f"the champion is {model_name(facts.champion_id)} by now"
        return "; ".join(objections(facts)) or None

    async def _carry_out(
        self, tx: Transaction, request: PromotionRequest, facts: OverrideFacts
    ) -> None:
        """Reopens the experiment and swaps the pointer; what was known at its end is kept."""
        trial = facts.trial
        reason = (
            f"promoted by hand by {request.requested_by}, over an undecided experiment: "
            f"{request.reason} ({facts.grounds})"
        )
        moved = await self._mover.move(
            tx,
            trial,
            Trigger.OVERRIDDEN,
            reason,
            actor=request.requested_by,
            decision=PROMOTED_BY_HAND,
            evidence={**(trial.evidence or {}), "by_hand": by_hand_row(request)},
        )
        await crown(tx, self._mover, moved, reason)
        text = f":arrow_up: {model_name(trial.challenger_id)} is the champion: {quoted(reason)}."
        await self._mover.tell(tx, moved, "override", text)
