"""Step EXPERIMENTING: the challenger plays to a share of threads until decided.

QUEUED -> OFFLINE_OK -> LOADED -> CANARY -> RAMP -> TEST -> (READY) -> PROMOTING, one transaction a
move. Evidence is recomputed from the ordered log at every look; the stored copy is for people.
Several challengers have an experiment each, which knows nothing of the others but whether there is
room on the stage, and whether one of them became the champion.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.learning import Adapter, AdapterState
from feedback.domain.operating import PromotionRequest, model_name
from feedback.domain.trial import APPROVAL_CARD, Approval, Trial, Verdict
from feedback.errors import ConfigurationError, ConflictError, NotFoundError, PermanentError
from feedback.store.unit_of_work import Store, Transaction
from retrain.cycle.by_hand import CANCELLED, PROMOTED_BY_HAND, Promotions, by_hand_row
from retrain.cycle.looking import Looker, changed_files
from retrain.cycle.stage import ExperimentSetup, no_room, tried_already
from retrain.cycle.trials import TrialMover
from retrain.experiments.decision import NONE, PROMOTE, REJECTED_GUARD, Decision
from retrain.experiments.machine import State, Trigger, stage_trigger, transition, trigger_of
from retrain.experiments.policy import ExperimentPolicy, RampStage
from retrain.experiments.ramp import RampState, first_stage, next_stage

_log = logging.getLogger(__name__)
LOAD_FAILURES = 3


_StateStep = Callable[[Transaction, Trial], Awaitable[StepResult | None]]


class ExperimentingStep:
    """Starts the experiment of a cycle, moves its ramp, and ends it when the engine says so."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        setup: ExperimentSetup,
        promotions: Promotions,
        mover: TrialMover | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._setup = setup
        self._promotions = promotions
        self._mover = mover or TrialMover(clock=clock)
        self._looker = Looker(self._mover)
        self._steps: Mapping[State, _StateStep] = {
            State.QUEUED: self._check_offline,
            State.OFFLINE_OK: self._check_loaded,
            State.READY: self._await_person,
        }

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Takes a look at the experiment, through several states where none has to wait.

        One that can never be looked at again is ended: nobody would see harm.
        """
        result: StepResult | None = None
        while result is None:
            try:
                result = await self._look(cycle)
            except ConflictError:
                raise
            except (PermanentError, ConfigurationError) as exc:
                _log.exception("an experiment cannot be looked at")
                result = await self._give_up(cycle, exc)
        return result

    async def _give_up(self, cycle: Cycle, exc: Exception) -> StepResult:
        async with self._store.begin() as tx:
            trial = await tx.experiments.of_cycle(cycle.id)
            if trial is None or trial.ended_at is not None or trial.state == State.PROMOTING:
                raise exc
            reason = f"it cannot be looked at any more: {exc}"
            await self._end(tx, trial, Trigger.CANCEL, reason, CANCELLED)
        return StepResult(reason=reason, outcome=CycleOutcome.FAILED)

    async def _look(self, cycle: Cycle) -> StepResult | None:
        """Takes one step; None when the next one can follow at once."""
        async with self._store.begin() as tx:
            trial = await tx.experiments.of_cycle(cycle.id)
            if trial is None:
                await self._queue(tx, cycle)
                return None
            if trial.ended_at is not None or trial.state == State.PROMOTING:
                return _result(trial)
            if trial.state != State.QUEUED and await self._overtaken(tx, trial):
                return None
            if trial.state != State.LOADED:
                return await self._steps.get(State(trial.state), self._decide)(tx, trial)
        # Answers in the shadow take longer than a transaction may.
        return await self._expose(trial)

    async def _queue(self, tx: Transaction, cycle: Cycle) -> None:
        now = self._clock.now()
        trial = Trial(
            id=f"e-{cycle.id}",
            cycle_id=cycle.id,
            challenger_id=cycle.context["adapter_id"],
            champion_id=None,
            salt=secrets.token_hex(16),
            policy=self._setup.policy,
            slow_ms=None,
            state=State.QUEUED,
            stage="",
            share=0.0,
            version=1,
            author=cycle.requested_by,
            started_at=now,
        )
        await tx.experiments.add(trial)
        await tx.audit.append(
            subject=f"experiment:{trial.id}",
            from_state="",
            to_state=trial.state,
            actor=cycle.requested_by,
            reason="the experiment is queued",
            at=now,
        )

    async def _overtaken(self, tx: Transaction, trial: Trial) -> bool:
        """Ends an experiment whose champion is another one by now: the arms compare nothing."""
        champion, _ = await tx.adapters.champion()
        now = champion.id if champion else None
        if now == trial.champion_id:
            return False
        reason = (
            f"the champion changed from {model_name(trial.champion_id)} to {model_name(now)}: the "
            "arms can no longer be compared; `understudy experiment start "
            f"{trial.challenger_id}` tries it against the new one"
        )
        await self._end(tx, trial, Trigger.CANCEL, reason, CANCELLED)
        return True

    async def _check_offline(self, tx: Transaction, trial: Trial) -> StepResult | None:
        """Only where there is room, what the gates let pass, and what nobody took back before."""
        others = [each for each in await tx.experiments.running() if each.id != trial.id]
        champion, _ = await tx.adapters.champion()
        needless = tried_already(trial, others, champion.id if champion else None)
        if needless is not None:
            await self._mover.move(tx, trial, Trigger.CANCEL, needless, decision=CANCELLED)
            return None
        busy = no_room(trial, others)
        if busy is not None:
            return _waiting(trial, busy)
        adapter = await _adapter(tx, trial)
        blocked = await tx.adapters.blocked_by(adapter)
        evaluation = (await tx.training.evaluations(adapter.training_run_id)).get("candidate")
        gates = (evaluation["gates"] if evaluation else None) or {}
        if blocked is not None:
            refused = f"{blocked}, which shares its weights or its dataset, was taken back"
        elif not gates.get("passed"):
            refused = f"no offline evaluation of {adapter.id} passed every gate"
        else:
            await self._mover.move(
                tx,
                trial,
                Trigger.OFFLINE_PASSED,
                f"offline evaluation of {adapter.training_run_id}: {gates.get('headline')}",
                champion_id=champion.id if champion else None,
            )
            return None
        await self._end(tx, trial, Trigger.OFFLINE_FAILED, refused, CANCELLED)
        return None

    async def _check_loaded(self, tx: Transaction, trial: Trial) -> StepResult | None:
        adapter = await _adapter(tx, trial)
        active = await tx.deployments.active()
        served = active is not None and trial.challenger_id in active.proven
        changed = await asyncio.to_thread(changed_files, {"challenger": adapter})
        if served and not changed:
            reason = f"{adapter.id} is proven to be served from the file that was evaluated"
            await self._mover.move(tx, trial, Trigger.LOADED, reason)
            return None
        problem = "its file changed after the evaluation" if changed else "it is not proven"
        failures = int((trial.evidence or {}).get("load_failures", 0)) + 1
        if failures >= LOAD_FAILURES:
            reason = f"{adapter.id} could not be loaded, {failures} times: {problem}"
            await self._end(tx, trial, Trigger.LOAD_FAILED, reason, State.INVALID)
            return None
        after = replace(trial, evidence={"load_failures": failures, "reason": problem})
        await tx.experiments.advance(trial, after, self._clock.now(), term=self._mover.term())
        return _waiting(trial, f"{adapter.id}: {problem}")

    async def _expose(self, trial: Trial) -> StepResult | None:
        """Enters the first stage once the answers in the shadow are there and raise no alarm."""
        shadow = self._setup.shadow
        left = await shadow.more(trial) if shadow else 0
        if left:
            return _waiting(trial, f"{left} real questions to answer in the shadow")
        async with self._store.begin() as tx:
            metric = await shadow.alarm(tx, trial) if shadow else None
            if metric is not None:
                reason = f"the answers in the shadow are worse than the champion's: {metric}"
                word = f"{REJECTED_GUARD}{metric}"
                await self._end(tx, trial, Trigger.GUARDRAIL, reason, word)
                return None
            stage = first_stage(ExperimentPolicy.of(trial.policy))
            trigger = stage_trigger(stage)
            if not await self._may(tx, trial, trigger):
                return _waiting(trial, await self._held(tx, trial))
            now = self._clock.now()
            p95 = await tx.experiments.latency_p95(trial.champion_id)
            await self._mover.move(
                tx,
                trial,
                trigger,
                "people may meet it",
                stage=stage.stage,
                share=stage.share,
                slow_ms=max(p95, self._setup.slow_floor_ms) if p95 is not None else None,
                started_at=now,
                joined_from=now,
            )
        return None

    async def _decide(self, tx: Transaction, trial: Trial) -> StepResult | None:
        trial, decision = await self._looker.noted(tx, trial)
        if not decision.final:
            request = await self._promotions.accepted(tx, trial)
            if request is not None:
                await self._promote_by_hand(tx, trial, request)
                return None
            stage = await self._next_stage(tx, trial, decision)
            if stage is not None:
                await self._mover.move(
                    tx,
                    trial,
                    stage_trigger(stage),
                    decision.reason,
                    stage=stage.stage,
                    share=stage.share,
                )
            held = await self._held(tx, trial)
            return _waiting(trial, f"{held}; {decision.reason}" if held else decision.reason)
        trigger = trigger_of(decision, auto=not self._setup.approval)
        assert trigger is not None, f"{decision.decision} is final"
        if decision.decision != PROMOTE:
            await self._end(tx, trial, trigger, decision.reason, decision.decision)
            return None
        moved = await self._mover.move(tx, trial, trigger, _promotion_reason(decision))
        if trigger is Trigger.PROVEN:
            await self._ask(tx, moved)
        return None

    async def _ask(self, tx: Transaction, trial: Trial) -> None:
        now = self._clock.now()
        hours = ExperimentPolicy.of(trial.policy).approval_hours
        await tx.approvals.ask(
            Approval(
                experiment_id=trial.id,
                version=trial.version,
                asked_at=now,
                expires_at=now + timedelta(hours=hours),
            )
        )
        await tx.outbox.add(
            key=f"approval:{trial.id}:{trial.version}",
            kind=APPROVAL_CARD,
            payload={
                "experiment_id": trial.id,
                "version": trial.version,
                "channel": self._mover.operators_channel,
            },
        )

    async def _await_person(self, tx: Transaction, trial: Trial) -> StepResult | None:
        """Every channel goes on; a person grants, denies, or lets the chance pass."""
        noted, decision = await self._looker.noted(tx, trial)
        trigger = trigger_of(decision, auto=False)
        if trigger is not None:
            await self._end(tx, noted, trigger, decision.reason, decision.decision)
            return None
        approval = await tx.approvals.get(trial.id, trial.version)
        if approval is None:
            raise NotFoundError(f"nobody was asked about version {trial.version} of {trial.id}")
        if approval.verdict is Verdict.DENIED:
            reason = f"{approval.decided_by} denied the promotion: {approval.reason}"
            await self._end(tx, noted, Trigger.DENIED, reason, CANCELLED)
            return None
        if approval.verdict is Verdict.GRANTED:
            if not await self._may(tx, noted, Trigger.APPROVED):
                return _waiting(trial, f"approved; {await self._held(tx, trial)}")
            await self._mover.move(
                tx,
                noted,
                Trigger.APPROVED,
                f"approved by {approval.decided_by}: {approval.reason}",
                actor=approval.decided_by or "",
                decision=PROMOTE,
            )
            return None
        now = self._clock.now()
        if now >= approval.expires_at:
            evidence = {**(noted.evidence or {}), "promote_from": now.timestamp()}
            reason = "nobody approved the promotion in time, the test goes on"
            await self._mover.move(
                tx, noted, Trigger.APPROVAL_EXPIRED, reason, evidence=evidence, decision=NONE
            )
            return None
        return _waiting(trial, f"waits for an approval until {approval.expires_at:%Y-%m-%d %H:%M}")

    async def _promote_by_hand(
        self, tx: Transaction, trial: Trial, request: PromotionRequest
    ) -> None:
        """Ends the experiment in favour of the challenger; the evidence so far is kept."""
        row = {**(trial.evidence or {}), "by_hand": by_hand_row(request)}
        reason = f"promoted by hand by {request.requested_by}: {request.reason}"
        await self._mover.move(
            tx, trial, Trigger.OVERRIDDEN, reason, decision=PROMOTED_BY_HAND, evidence=row
        )

    async def _next_stage(
        self, tx: Transaction, trial: Trial, decision: Decision
    ) -> RampStage | None:
        """Returns the stage to enter now, None while the present one or the brake holds."""
        entered = (await tx.experiments.stages(trial.id))[-1].entered_at
        stage = next_stage(
            ExperimentPolicy.of(trial.policy),
            RampState(
                stage=trial.stage,
                entered_at=entered.timestamp(),
                challenger_delivered=decision.counts[1].delivered,
            ),
            self._clock.now().timestamp(),
        )
        if stage is None or not await self._may(tx, trial, stage_trigger(stage)):
            return None
        return stage

    async def _may(self, tx: Transaction, trial: Trial, trigger: Trigger) -> bool:
        try:
            transition(await self._mover.standing(tx, trial), trigger)
        except ConflictError:
            return False
        return True

    async def _held(self, tx: Transaction, trial: Trial) -> str:
        """Returns why nothing moves forward, empty while it may."""
        standing = await self._mover.standing(tx, trial)
        if not standing.held:
            return ""
        why = "it is paused" if standing.paused else "traffic is frozen"
        return f"{why}, and nothing moves forward"

    async def _end(
        self, tx: Transaction, trial: Trial, trigger: Trigger, reason: str, word: str
    ) -> None:
        """Ends an experiment against the challenger; an impossible split stops everything."""
        await self._mover.move(tx, trial, trigger, reason, decision=word)
        await tx.adapters.mark(trial.challenger_id, AdapterState.RETIRED)
        if trigger is Trigger.SRM:
            await self._mover.freeze(tx, f"experiment {trial.id}: {reason}")


async def _adapter(tx: Transaction, trial: Trial) -> Adapter:
    adapter = await tx.adapters.get(trial.challenger_id)
    if adapter is None:
        raise NotFoundError(f"adapter {trial.challenger_id} is gone from the database")
    return adapter


def _waiting(trial: Trial, reason: str) -> StepResult:
    return StepResult(reason=reason, wait=True, context={"experiment_id": trial.id})


def _result(trial: Trial) -> StepResult:
    """Returns what a cycle makes of an experiment that is decided."""
    reason = str((trial.evidence or {}).get("reason", trial.state))
    context = {"experiment_id": trial.id}
    if trial.state == State.PROMOTING:
        return StepResult(reason=reason, context=context)
    return StepResult(
        reason=reason, outcome=CycleOutcome.ENDED, gate=trial.decision, context=context
    )


def _promotion_reason(decision: Decision) -> str:
    champion, challenger = decision.counts
    lift = decision.evidence.lift
    return (
        f"{decision.reason}; lift {lift:+.2f} over {champion.rated} + {challenger.rated} "
        f"rated threads on day {decision.day:.1f}"
    )
