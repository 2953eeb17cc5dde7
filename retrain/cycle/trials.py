"""Moves a stored experiment along its table.

A move is one transaction: the row by compare-and-set (and by the writer's term as leader), an
audit entry with everything the decision rests on, and what people are owed as outbox rows.
Everything else that a move sets in motion is read off the row itself: routing asks for the state,
the stage and the share at every turn.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from feedback.clock import Clock
from feedback.domain.operating import FROZEN, Act, model_name
from feedback.domain.trial import PAUSABLE_STATES, Look, Trial, decision_words
from feedback.operations import set_brake
from feedback.store.unit_of_work import Transaction
from retrain.experiments.decision import Decision
from retrain.experiments.machine import Effect, Standing, State, Trigger, effects, transition

_DIGITS = 9
SCHEDULER = "scheduler"


def no_term() -> int | None:
    """For processes that compete with nobody."""
    return None


@dataclass(frozen=True, kw_only=True)
class TrialMover:
    """Everything that changes an experiment's state goes through here.

    Attributes:
        operators_channel: Where people are told; empty: nowhere.
        term: The number of this process's leadership.
    """

    clock: Clock
    operators_channel: str = ""
    term: Callable[[], int | None] = no_term

    async def standing(self, tx: Transaction, trial: Trial) -> Standing:
        """Returns where an experiment stands in the table."""
        frozen = await tx.switches.get(FROZEN) == "on"
        paused = trial.paused_at is not None
        return Standing(state=State(trial.state), paused=paused, frozen=frozen)

    async def move(
        self,
        tx: Transaction,
        trial: Trial,
        trigger: Trigger,
        reason: str,
        *,
        actor: str = SCHEDULER,
        **changes: Any,  # noqa: ANN401  (fields of Trial)
    ) -> Trial:
        """Takes one step of the table.

        Args:
            tx: The transaction of the step.
            trial: As it was read in it.
            trigger: What happened.
            reason: For the audit trail and for people.
            actor: Who made it happen.
            **changes: Further fields of the experiment that change with it.

        Returns:
            The experiment as stored now.

        Raises:
            ConflictError: When the table does not allow it, or somebody was faster.
        """
        before = await self.standing(tx, trial)
        after = transition(before, trigger)
        now = self.clock.now()
        wanted = replace(
            trial, **changes, state=after.state.value, ended_at=now if after.ended else None
        )
        wanted = replace(wanted, evidence={**(wanted.evidence or {}), "reason": reason})
        if after.state not in PAUSABLE_STATES:
            wanted = replace(wanted, paused_at=None, paused_by="")
        moved = await tx.experiments.advance(trial, wanted, now, term=self.term())
        await tx.audit.append(
            subject=f"experiment:{trial.id}",
            from_state=trial.state,
            to_state=moved.state,
            actor=actor,
            reason=reason,
            at=now,
            data={"trigger": trigger.value, **await _facts(tx, moved)},
        )
        if Effect.NOTIFY in effects(before, after) and _nobody_else_tells(before, after):
            await self.tell(tx, moved, f"{trial.state}:{moved.state}", _told(moved, after, reason))
        return moved

    async def tell(self, tx: Transaction, trial: Trial, key: str, text: str) -> None:
        """Owes the operators' channel a sentence, once a version and key."""
        if self.operators_channel:
            await tx.outbox.add(
                key=f"experiment:{trial.id}:{key}:{trial.version}",
                kind="slack_message",
                payload={"channel": self.operators_channel, "text": text},
            )

    async def freeze(self, tx: Transaction, reason: str) -> None:
        """Pulls the brake for everybody: something is wrong that a person has to look at."""
        act = Act(by=SCHEDULER, reason=reason, at=self.clock.now(), channel=self.operators_channel)
        await set_brake(tx, on=True, act=act)


def look_of(decision: Decision, trial: Trial, clock: Clock) -> Look:
    """Returns a decision as it is kept for the chart."""
    logs = decision.evidence.to_row()["log"]
    return Look(
        at=clock.now(),
        part=trial.part,
        decision=decision.decision,
        logs=rounded(logs),
        shas={},
    )


def rounded(value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Returns JSON with every number short: what is hashed must read back as it was written."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    return value


async def _facts(tx: Transaction, trial: Trial) -> dict[str, Any]:
    """Returns what a move rests on, for the audit trail."""
    challenger = await tx.adapters.get(trial.challenger_id)
    champion = await tx.adapters.get(trial.champion_id) if trial.champion_id else None
    row = trial.evidence or {}
    evidence = row.get("evidence", {})
    policy = json.dumps(trial.policy, sort_keys=True)
    facts: dict[str, Any] = rounded(
        {
            "version": trial.version,
            "share": trial.share,
            "policy_sha256": hashlib.sha256(policy.encode()).hexdigest(),
            "code": version("understudy"),
            "champion_sha256": champion.sha256 if champion else None,
            "challenger_sha256": challenger.sha256 if challenger else None,
            "dataset": challenger.dataset_id if challenger else None,
            "decision": trial.decision,
            "counts": row.get("counts"),
            "log_evidence": evidence.get("log"),
            "lift": evidence.get("lift"),
            "closed_gates": [item["gate"] for item in row.get("waiting_for", ())],
            "events": row.get("seen", {}).get("events"),
        }
    )
    return facts


def _nobody_else_tells(before: Standing, after: Standing) -> bool:
    """While a cycle is open its own end is what people read."""
    return before.state is State.HOLDBACK or (after.state is State.TEST)


def _told(trial: Trial, after: Standing, reason: str) -> str:
    name = model_name(trial.challenger_id)
    if after.state is State.CHAMPION:
        return f":trophy: {name} is the champion for good: {reason}."
    if after.state is State.ROLLED_BACK:
        back = model_name(trial.champion_id)
        return f":rewind: *Taken back*: {back} is the champion again instead of {name}. {reason}."
    return (
        f":hourglass: {name}: {reason}. Evidence says {decision_words(trial.decision or 'NONE')}."
    )
