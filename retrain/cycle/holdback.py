"""After the evidence: the pointer is swapped, and the previous champion keeps a share of threads.

If the new champion turns out worse than the one before, it is taken back without anybody asking.
"""

from dataclasses import replace
from datetime import timedelta

from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.learning import AdapterState
from feedback.domain.operating import BASE, model_name
from feedback.domain.trial import HOLDBACK, Part, Trial, Verdict
from feedback.errors import ConflictError, NotFoundError
from feedback.store.unit_of_work import Store, Transaction
from retrain.cycle.by_hand import CANCELLED
from retrain.cycle.looking import KEPT_EVERY_S
from retrain.cycle.trials import SCHEDULER, TrialMover, look_of
from retrain.experiments.decision import NONE, watch
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog
from retrain.experiments.machine import State, Trigger, transition, trigger_of
from retrain.experiments.policy import ExperimentPolicy

ROLLBACKS_THAT_FREEZE = 2
ROLLBACK_MEMORY = timedelta(days=30)
"""Two promotions taken back within this time are no chance: a person has to look."""


class PromotingStep:
    """Swaps the champion pointer and starts the holdback, in one transaction.

    Doing it twice is noticed and changes nothing.
    """

    def __init__(self, store: Store, clock: Clock, mover: TrialMover | None = None) -> None:
        self._store = store
        self._clock = clock
        self._mover = mover or TrialMover(clock=clock)

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Promotes the challenger of this cycle's experiment."""
        async with self._store.begin() as tx:
            trial = await tx.experiments.of_cycle(cycle.id)
            if trial is None:
                raise NotFoundError(f"cycle {cycle.id} has no experiment to promote from")
            if State(trial.state) is State.PROMOTING:
                stopped = await self._stopped(tx, trial)
                if stopped is not None:
                    return stopped
                try:
                    transition(await self._mover.standing(tx, trial), Trigger.POINTER_SWAPPED)
                except ConflictError as exc:
                    return StepResult(reason=str(exc), wait=True)
                await crown(tx, self._mover, trial, cycle.reason or "")
            elif State(trial.state) not in {State.HOLDBACK, State.CHAMPION}:
                return _ended(trial)
        return StepResult(
            reason=f"{trial.challenger_id} is the champion: {cycle.reason}",
            outcome=CycleOutcome.PROMOTED,
        )

    async def _stopped(self, tx: Transaction, trial: Trial) -> StepResult | None:
        """Ends an experiment that people took the promotion from after it had been decided."""
        champion, _ = await tx.adapters.champion()
        present = champion.id if champion else None
        approval = await tx.approvals.get(trial.id, trial.version)
        if present not in {trial.challenger_id, trial.champion_id}:
            trigger = Trigger.CANCEL
            reason = f"{model_name(present)} became the champion meanwhile"
        elif approval is not None and approval.verdict is Verdict.DENIED:
            trigger = Trigger.CANCEL
            reason = f"{approval.decided_by} withdrew the promotion: {approval.reason}"
        else:
            return None
        ended = await self._mover.move(tx, trial, trigger, reason, decision=CANCELLED)
        await tx.adapters.mark(trial.challenger_id, AdapterState.RETIRED)
        return _ended(ended)


async def crown(tx: Transaction, mover: TrialMover, trial: Trial, reason: str) -> None:
    """Points the champion at the challenger of an experiment that is PROMOTING; the watch begins.

    Raises:
        ConflictError: When somebody moved the pointer or the experiment meanwhile.
    """
    now = mover.clock.now()
    champion, version = await tx.adapters.champion()
    present = champion.id if champion else None
    if present != trial.challenger_id:
        await tx.adapters.promote(trial.challenger_id, version=version, at=now)
        await tx.audit.append(
            subject="champion",
            from_state=present or BASE,
            to_state=trial.challenger_id,
            actor=SCHEDULER,
            reason=reason,
            at=now,
        )
    policy = ExperimentPolicy.of(trial.policy)
    share = policy.holdback_share_for(threads_per_day(trial))
    told = (
        f"{trial.challenger_id} is the champion; {model_name(trial.champion_id)} keeps "
        f"{share:.0%} of new threads for {policy.holdback_days:g} days"
    )
    watched = await mover.move(
        tx,
        trial,
        Trigger.POINTER_SWAPPED,
        told,
        stage=HOLDBACK,
        share=round(1 - share, 12),
        joined_from=now,
        evidence={**(trial.evidence or {}), "promotion": reason},
    )
    if policy.holdback_days == 0:
        await mover.move(tx, watched, Trigger.QUIET, "no holdback is wanted")


class HoldbackWatch:
    """Looks at the promoted champion at every tick, whether a cycle is open or not."""

    def __init__(self, store: Store, clock: Clock, mover: TrialMover) -> None:
        self._store = store
        self._clock = clock
        self._mover = mover

    async def look(self) -> Trial | None:
        """Takes one look.

        Returns:
            The watched experiment after the look; None when nothing is watched.

        Raises:
            ConflictError: When somebody moved the pointer or the experiment meanwhile.
        """
        async with self._store.begin() as tx:
            on_stage = await tx.experiments.on_stage()
            trial = next((each for each in on_stage if each.stage == HOLDBACK), None)
            if trial is None:
                return None
            champion, version = await tx.adapters.champion()
            if (champion.id if champion else None) != trial.challenger_id:
                return await self._moved(
                    tx, trial, Trigger.ROLLBACK, "the champion was changed by hand"
                )
            if (await self._mover.standing(tx, trial)).frozen:
                reason = "frozen while the new champion was still watched"
                return await self._take_back(tx, trial, Trigger.ROLLBACK, reason, version)
            trial, trigger, reason = await self._noted(tx, trial)
            if trigger is not None:
                return await self._take_back(tx, trial, trigger, reason, version)
            policy = ExperimentPolicy.of(trial.policy)
            since = trial.joined_from or trial.started_at
            if self._clock.now() - since < timedelta(days=policy.holdback_days):
                return trial
            quiet = f"{policy.holdback_days:g} days without a sign of harm"
            return await self._mover.move(tx, trial, Trigger.QUIET, quiet)

    async def _noted(self, tx: Transaction, trial: Trial) -> tuple[Trial, Trigger | None, str]:
        rows = await tx.experiments.event_rows(trial, Part.HOLDBACK)
        now = self._clock.now().timestamp()
        decision = watch(ExperimentLog.of(map(parse_event, rows)), now)
        row = decision.to_row()
        known = (trial.evidence or {}).get("holdback", {})
        if (known.get("decision"), known.get("counts")) != (row["decision"], row["counts"]):
            # The word that promoted it stays; what the watch says stands beside it.
            look = replace(look_of(decision, trial, self._clock), decision=trial.decision or NONE)
            keep = decision.final or now - float(known.get("kept", 0.0)) >= KEPT_EVERY_S
            row["kept"] = now if keep else known.get("kept", 0.0)
            evidence = {**(trial.evidence or {}), "holdback": row}
            trial = await tx.experiments.note(trial, look, evidence, keep=keep)
        return trial, trigger_of(decision, auto=False), decision.reason

    async def _take_back(
        self, tx: Transaction, trial: Trial, trigger: Trigger, reason: str, version: int
    ) -> Trial:
        now = self._clock.now()
        await tx.adapters.promote(trial.champion_id, version=version, at=now, undo=True)
        await tx.audit.append(
            subject="champion",
            from_state=trial.challenger_id,
            to_state=trial.champion_id or BASE,
            actor=SCHEDULER,
            reason=reason,
            at=now,
        )
        return await self._moved(tx, trial, trigger, reason)

    async def _moved(self, tx: Transaction, trial: Trial, trigger: Trigger, reason: str) -> Trial:
        ended = await self._mover.move(tx, trial, trigger, reason, decision="ROLLED_BACK")
        await tx.adapters.mark(trial.challenger_id, AdapterState.BLOCKED)
        since = self._clock.now() - ROLLBACK_MEMORY
        count = await tx.experiments.rolled_back_since(since)
        if count >= ROLLBACKS_THAT_FREEZE:
            days = ROLLBACK_MEMORY.days
            await self._mover.freeze(tx, f"{count} promotions were taken back in {days} days")
        return ended


def _ended(trial: Trial) -> StepResult:
    return StepResult(
        reason=str((trial.evidence or {}).get("reason", trial.state)),
        outcome=CycleOutcome.ENDED,
        gate=trial.decision,
    )


def threads_per_day(trial: Trial) -> float:
    """Returns the threads a day up to the last look at the test, other challengers' included."""
    row = trial.evidence or {}
    counts = row.get("counts", {})
    threads = sum(int(counts.get(arm, {}).get("assigned", 0)) for arm in ("champion", "challenger"))
    threads += int(counts.get("excluded", 0))
    return threads / max(float(row.get("day", 0.0)), 1.0)
