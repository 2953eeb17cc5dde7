"""Drives cycles one step at a time; every step may be killed and is then simply run again.

A tick reads the open cycles, runs the step of each one's state, and commits the new state, the
audit row and the notices in one transaction that succeeds only on the version that was read. Steps
leave their own traces under ids derived from the cycle, so repeating one changes nothing.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from feedback.clock import Clock
from feedback.domain.cycle import (
    Cycle,
    CycleOptions,
    CycleOutcome,
    CycleState,
    StepResult,
    next_state,
)
from feedback.errors import ConfigurationError, ConflictError, PermanentError, RetryableError
from feedback.operations import quoted
from feedback.store.unit_of_work import Store, Transaction
from retrain.scheduling.schedule import CycleSchedule

_log = logging.getLogger(__name__)
_ANCHOR = "schedule_anchor"


class Step(Protocol):
    """What a cycle does in one state. Must be safe to repeat after a kill."""

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Does the step, or a part of it.

        Raises:
            RetryableError: Tried again at the next tick.
            PermanentError: Ends the cycle as failed.
            ConfigurationError: Ends the cycle as failed.
        """
        ...


class CycleRunner:
    """Starts cycles that are due or asked for, and moves the open ones forward."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        schedule: CycleSchedule,
        steps: Mapping[CycleState, Step],
        operators_channel: str,
        challengers: int = 1,
    ) -> None:
        """Creates a runner.

        Args:
            store: The record.
            clock: Time of the rows.
            schedule: When a cycle is due.
            steps: What a cycle does, by its state.
            operators_channel: Where people are told; empty: nowhere.
            challengers: How many may be on stage or on their way there.
        """
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._steps = steps
        self._operators_channel = operators_channel
        self._challengers = challengers

    async def tick(self) -> list[Cycle]:
        """Does one step of every open cycle, and starts one when there is room.

        What keeps one cycle from its step keeps no other one from theirs.

        Returns:
            The cycles as they stand after it; empty when there is nothing to do.

        Raises:
            RetryableError: When a step should be tried again.
            ConflictError: When another process moved a cycle meanwhile.
        """
        async with self._store.begin() as tx:
            cycles = await tx.cycles.open_cycles()
            places = self._challengers - len(cycles)
            room = places > 0 and not any(cycle.at_work for cycle in cycles)
            started = await self._start_if_due(tx, places) if room else None
        moved = [started] if started else []
        failures: list[RetryableError | ConflictError] = []
        for cycle in sorted(cycles, key=lambda cycle: cycle.at_work):
            try:
                moved.append(await self._step(cycle))
            except (RetryableError, ConflictError) as exc:
                failures.append(exc)
        if failures:
            raise failures[0]
        return moved

    async def _step(self, cycle: Cycle) -> Cycle:
        """Does one step of a cycle; a conflict is told: the next look sees how things are."""
        try:
            result = await self._steps[cycle.state](cycle)
        except ConflictError:
            raise
        except (PermanentError, ConfigurationError) as exc:
            _log.exception("cycle step failed", extra={"action": "cycle_failed"})
            result = StepResult(reason=str(exc), outcome=CycleOutcome.FAILED)
        if result.wait and dict(result.context).items() <= dict(cycle.context).items():
            return cycle
        return await self._commit(cycle, result)

    async def _start_if_due(self, tx: Transaction, places: int) -> Cycle | None:
        now = self._clock.now()
        await self._drop_overtaken(tx, places, now)
        request = await tx.cycles.next_request()
        if request is not None:
            request_id, requested_by, options = request
            cycle = await _new_cycle(tx, now, "request", requested_by, options)
            await tx.cycles.start(cycle)
            await tx.cycles.take_request(request_id, cycle.id)
        elif self._schedule.due(await self._anchor(tx, now), now):
            cycle = await _new_cycle(tx, now, "schedule", "schedule", CycleOptions())
            await tx.cycles.start(cycle)
        else:
            return None
        await tx.audit.append(
            subject=f"cycle:{cycle.id}",
            from_state="",
            to_state=cycle.state,
            actor=cycle.requested_by,
            reason=f"started by {cycle.trigger}",
            at=now,
        )
        return cycle

    async def _drop_overtaken(self, tx: Transaction, places: int, now: datetime) -> None:
        """Of the adapters that wait to be tried only the newest are still worth the stage."""
        for request_id, requested_by, options in await tx.cycles.drop_overtaken(places):
            reason = f"a newer one is to be tried; it was asked for by {requested_by}"
            await tx.audit.append(
                subject=f"adapter:{options.adapter_id}",
                from_state="waits to be tried",
                to_state="overtaken",
                actor="scheduler",
                reason=reason,
                at=now,
                data={"request": request_id},
            )
            if self._operators_channel:
                text = (
                    f":fast_forward: {options.adapter_id} is *not tried* any more: "
                    f"{quoted(reason)}. There is no room on the stage for all of them."
                )
                await tx.outbox.add(
                    key=f"cycle-request:{request_id}:overtaken",
                    kind="slack_message",
                    payload={"channel": self._operators_channel, "text": text},
                )

    async def next_scheduled(self, tx: Transaction) -> datetime:
        """Returns when the schedule next starts a cycle, if there is room for one then."""
        return self._schedule.next_after(await self._anchor(tx, self._clock.now()))

    async def _anchor(self, tx: Transaction, now: datetime) -> datetime:
        """The moment from which the next scheduled cycle counts."""
        last = await tx.cycles.last_scheduled()
        if last is not None:
            return last
        stored = await tx.switches.get(_ANCHOR)
        if stored is not None:
            return datetime.fromisoformat(stored)
        await tx.switches.set(_ANCHOR, now.isoformat(), by="scheduler", at=now)
        return now

    async def _commit(self, cycle: Cycle, result: StepResult) -> Cycle:
        now = self._clock.now()
        state = next_state(cycle.state, result)
        done = state is CycleState.DONE
        outcome = (result.outcome or CycleOutcome.PROMOTED) if done else None
        after = replace(
            cycle,
            state=state,
            version=cycle.version + 1,
            context={**cycle.context, **result.context},
            outcome=outcome,
            gate=result.gate,
            reason=result.reason,
            updated_at=now,
            ended_at=now if done else None,
        )
        async with self._store.begin() as tx:
            await tx.cycles.advance(cycle, after)
            if state is not cycle.state:
                await tx.audit.append(
                    subject=f"cycle:{cycle.id}",
                    from_state=cycle.state,
                    to_state=state,
                    actor="scheduler",
                    reason=result.reason,
                    at=now,
                    data={"outcome": outcome, "gate": result.gate},
                )
                await self._notify(tx, after)
        return after

    async def _notify(self, tx: Transaction, cycle: Cycle) -> None:
        if not self._operators_channel or cycle.outcome is None:
            return
        await tx.outbox.add(
            key=f"cycle:{cycle.id}:{cycle.outcome}",
            kind="slack_message",
            payload={"channel": self._operators_channel, "text": describe(cycle)},
        )


def describe(cycle: Cycle) -> str:
    """Returns one sentence about how a cycle ended, for operators."""
    gate = f" by the {cycle.gate} gate" if cycle.gate else ""
    outcome = (cycle.outcome or cycle.state).replace("_", " ")
    # What people wrote may stand in a reason: a notice mentions nobody for it.
    told = f"Cycle {cycle.id}: *{outcome}*{gate}. {quoted(cycle.reason or '')}".strip()
    if cycle.outcome is CycleOutcome.NOT_NEEDED:
        told += "\n`/understudy why` names every gate, what is missing, and when it may be there."
    return told


async def _new_cycle(
    tx: Transaction, now: datetime, trigger: str, requested_by: str, options: CycleOptions
) -> Cycle:
    second = now.strftime("c%Y%m%d-%H%M%S")
    cycle_id, number = second, 1
    while await tx.cycles.get(cycle_id) is not None:
        number += 1
        cycle_id = f"{second}-{number}"
    tried = options.adapter_id
    return Cycle(
        id=cycle_id,
        state=CycleState.PUBLISHING if tried else CycleState.MINING,
        context={"adapter_id": tried} if tried else {},
        version=1,
        trigger=trigger,
        requested_by=requested_by,
        options=options,
        started_at=now,
        updated_at=now,
    )
