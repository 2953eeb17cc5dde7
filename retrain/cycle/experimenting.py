"""Steps EXPERIMENTING and PROMOTING: the challenger plays to a share of threads until decided.

Evidence is recomputed from the ordered log at every look; the stored copy is for people to read.
"""

import secrets
from dataclasses import asdict, replace

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.learning import AdapterState
from feedback.domain.operating import PromotionRequest, model_name
from feedback.domain.trial import Trial
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Store, Transaction
from retrain.cycle.by_hand import CANCELLED, PROMOTED_BY_HAND, Promotions, by_hand_row
from retrain.experiments.decision import PROMOTE, Decision, decide
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import ExperimentPolicy, RampStage
from retrain.experiments.ramp import RampState, first_stage, next_stage


class ExperimentingStep:
    """Starts the experiment of a cycle, moves its ramp, and ends it when the engine says so."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: ExperimentPolicy,
        promotions: Promotions,
        *,
        slow_floor_ms: float,
    ) -> None:
        """Creates the step.

        Args:
            store: The record.
            clock: Real or simulated time.
            policy: Constants of every experiment it starts.
            promotions: What people asked for by hand.
            slow_floor_ms: No answer faster than this counts as slow, however brief (and so fast)
                the champion's own answers are.
        """
        self._store = store
        self._clock = clock
        self._policy = policy
        self._promotions = promotions
        self._slow_floor_ms = slow_floor_ms

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Takes one look at the experiment."""
        async with self._store.begin() as tx:
            trial = await tx.experiments.of_cycle(cycle.id)
            if trial is None:
                trial = await self._start(tx, cycle)
            elif (ended := await self._ended_by_people(tx, trial)) is not None:
                return ended
            log = ExperimentLog.of(
                parse_event(row) for row in await tx.experiments.event_rows(trial)
            )
            now = self._clock.now()
            decision = decide(log, now.timestamp())
            if not decision.final:
                request = await self._promotions.accepted(tx, trial)
                if request is not None:
                    return await self._promote_by_hand(tx, trial, decision, request)
            await self._move(tx, trial, decision)
            if decision.final and decision.decision != PROMOTE:
                await tx.adapters.mark(trial.challenger_id, AdapterState.RETIRED)
        context = {"experiment_id": trial.id}
        if not decision.final:
            return StepResult(reason=decision.reason, wait=True, context=context)
        if decision.decision == PROMOTE:
            return StepResult(reason=_promotion_reason(decision), context=context)
        return StepResult(
            reason=decision.reason,
            outcome=CycleOutcome.ENDED,
            gate=decision.decision,
            context=context,
        )

    async def _ended_by_people(self, tx: Transaction, trial: Trial) -> StepResult | None:
        """Returns the end that people gave an experiment, None when evidence is to decide."""
        context = {"experiment_id": trial.id}
        if trial.decision == PROMOTED_BY_HAND:
            return StepResult(reason=_by_hand_reason(trial), context=context)
        champion, _ = await tx.adapters.champion()
        now = champion.id if champion else None
        if now == trial.champion_id and trial.decision != CANCELLED:
            return None
        reason = (
            f"the champion was changed by hand from {model_name(trial.champion_id)} to "
            f"{model_name(now)}: the arms can no longer be compared"
        )
        if trial.ended_at is None:
            at = self._clock.now()
            after = replace(trial, state=CANCELLED, decision=CANCELLED, ended_at=at)
            await tx.experiments.advance(trial, after, at)
            await self._audit(tx, trial, trial.state, CANCELLED, reason)
            await tx.adapters.mark(trial.challenger_id, AdapterState.RETIRED)
        return StepResult(
            reason=reason, outcome=CycleOutcome.ENDED, gate=CANCELLED, context=context
        )

    async def _promote_by_hand(
        self, tx: Transaction, trial: Trial, decision: Decision, request: PromotionRequest
    ) -> StepResult:
        """Ends the experiment in favour of the challenger; the evidence so far is kept."""
        row = {
            **decision.to_row(),
            "plan": self._policy.plan,
            "by_hand": by_hand_row(request),
        }
        after = replace(trial, state="PROMOTING", decision=PROMOTED_BY_HAND, evidence=row)
        after = await tx.experiments.advance(trial, after, self._clock.now())
        await self._audit(tx, trial, trial.state, after.state, _by_hand_reason(after))
        return StepResult(reason=_by_hand_reason(after), context={"experiment_id": trial.id})

    async def _start(self, tx: Transaction, cycle: Cycle) -> Trial:
        champion, _ = await tx.adapters.champion()
        now = self._clock.now()
        first = first_stage(self._policy)
        p95 = await tx.experiments.champion_latency_p95()
        trial = Trial(
            id=f"e-{cycle.id}",
            cycle_id=cycle.id,
            challenger_id=cycle.context["adapter_id"],
            champion_id=champion.id if champion else None,
            salt=secrets.token_hex(16),
            policy={"profile": self._policy.profile},
            slow_ms=max(p95, self._slow_floor_ms) if p95 is not None else None,
            state=first.stage,
            stage=first.stage,
            share=first.share,
            version=1,
            started_at=now,
        )
        await tx.experiments.add(trial)
        await self._audit(tx, trial, "", trial.state, "the experiment starts")
        return trial

    async def _move(self, tx: Transaction, trial: Trial, decision: Decision) -> None:
        """Stores the stage and the evidence when they changed."""
        now = self._clock.now()
        row = {**decision.to_row(), "plan": self._policy.plan}
        after = replace(trial, decision=decision.decision, evidence=row)
        if decision.final:
            promoted = decision.decision == PROMOTE
            state = "PROMOTING" if promoted else decision.decision.partition(":")[0]
            after = replace(after, state=state, ended_at=None if promoted else now)
        elif (stage := await self._next_stage(tx, trial, decision)) is not None:
            after = replace(after, state=stage.stage, stage=stage.stage, share=stage.share)
        known = (trial.evidence or {}).get("counts")
        if (after.state, after.decision, row["counts"]) == (trial.state, trial.decision, known):
            return
        await tx.experiments.advance(trial, after, now)
        if after.state != trial.state:
            await self._audit(tx, trial, trial.state, after.state, decision.reason)

    async def _next_stage(
        self, tx: Transaction, trial: Trial, decision: Decision
    ) -> RampStage | None:
        entered = (await tx.experiments.stages(trial.id))[-1].entered_at
        return next_stage(
            self._policy,
            RampState(
                stage=trial.stage,
                entered_at=entered.timestamp(),
                challenger_delivered=decision.counts[1].delivered,
            ),
            self._clock.now().timestamp(),
        )

    async def _audit(
        self, tx: Transaction, trial: Trial, before: str, after: str, reason: str
    ) -> None:
        await tx.audit.append(
            subject=f"experiment:{trial.id}",
            from_state=before,
            to_state=after,
            actor="scheduler",
            reason=reason,
            at=self._clock.now(),
        )


class PromotingStep:
    """Swaps the champion pointer; doing it twice is noticed and changes nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Promotes the challenger of this cycle's experiment."""
        now = self._clock.now()
        async with self._store.begin() as tx:
            trial = await tx.experiments.of_cycle(cycle.id)
            if trial is None:
                raise NotFoundError(f"cycle {cycle.id} has no experiment to promote from")
            champion, version = await tx.adapters.champion()
            present = champion.id if champion else None
            if present not in {trial.challenger_id, trial.champion_id}:
                return await self._overtaken(tx, trial, present)
            if present != trial.challenger_id:
                await tx.adapters.promote(trial.challenger_id, version=version, at=now)
                await tx.audit.append(
                    subject="champion",
                    from_state=champion.id if champion else "base",
                    to_state=trial.challenger_id,
                    actor="scheduler",
                    reason=cycle.reason or "",
                    at=now,
                )
            if trial.ended_at is None:
                await tx.experiments.advance(
                    trial, replace(trial, state="CHAMPION", ended_at=now), now
                )
        return StepResult(
            reason=f"{trial.challenger_id} is the champion: {cycle.reason}",
            outcome=CycleOutcome.PROMOTED,
        )

    async def _overtaken(self, tx: Transaction, trial: Trial, present: str | None) -> StepResult:
        """Ends an experiment whose champion was changed by hand after it had been decided."""
        now = self._clock.now()
        await tx.experiments.advance(
            trial, replace(trial, state=CANCELLED, decision=CANCELLED, ended_at=now), now
        )
        await tx.adapters.mark(trial.challenger_id, AdapterState.RETIRED)
        return StepResult(
            reason=f"the champion was changed by hand to {model_name(present)} meanwhile",
            outcome=CycleOutcome.ENDED,
            gate=CANCELLED,
        )


def _by_hand_reason(trial: Trial) -> str:
    by_hand = (trial.evidence or {}).get("by_hand", {})
    return f"promoted by hand by {by_hand.get('by')}: {by_hand.get('reason')}"


def _promotion_reason(decision: Decision) -> str:
    champion, challenger = (asdict(counts) for counts in decision.counts)
    lift = decision.evidence.lift
    return (
        f"{decision.reason}; lift {lift:+.2f} over {champion['rated']} + {challenger['rated']} "
        f"rated threads on day {decision.day:.1f}"
    )
