"""Threads of an experiment as the bot leaves them in the record, many at once."""

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Table, insert

from bot.routing import OTHER_CHALLENGER
from feedback.clock import FixedClock
from feedback.domain.assignment import bucket, draw
from feedback.domain.cycle import Cycle, CycleOptions, CycleState, StepResult
from feedback.domain.trial import Trial
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import vote_events
from feedback.store.tables.learning import assignments
from feedback.store.unit_of_work import Store
from retrain.cycle.by_hand import Promotions
from retrain.cycle.experimenting import ExperimentingStep
from retrain.cycle.holdback import HoldbackWatch, PromotingStep
from retrain.cycle.stage import ExperimentSetup, Shadow
from retrain.cycle.trials import TrialMover
from tests.integration.operating.stage import NOW, OPERATORS, add_adapter, serve

HASTY = {
    "profile": "default",
    "maturity_hours": 1.0,
    "gate_hours": 0.5,
    "min_begin_day": 0.0,
    "min_rated": 5,
    "min_delivered": 5,
    "response_age_hours": 0.1,
    "leave_out_e": 0.0,
    "holdback_days": 2.0,
    "ramp": [
        {"stage": "CANARY", "share": 0.05, "max_hours": 1.0},
        {"stage": "RAMP", "share": 0.25, "max_hours": 1.0},
        {"stage": "TEST", "share": 0.5},
    ],
}
"""Constants under which an experiment is decided within a day."""

GAIN = {"gate": "right", "margin": None, "champion": 0.41, "challenger": 0.83, "n": 120}
"""What the offline suite found better."""

Rate = Callable[[bool], float]


def better(challenged: bool) -> float:
    """The challenger is liked far more often."""
    return 0.95 if challenged else 0.4


def worse(challenged: bool) -> float:
    """The challenger is liked far less often."""
    return 0.3 if challenged else 0.95


def alike(_challenged: bool) -> float:
    """Nobody can tell the two apart."""
    return 0.7


@dataclass(kw_only=True)
class Theatre:
    """A scheduler's parts on a record, with time in hand."""

    store: Store
    clock: FixedClock
    approval: bool = False
    shadow: Shadow | None = None
    policy: object = None
    term: int | None = None
    asked: int = 0

    @property
    def mover(self) -> TrialMover:
        return TrialMover(clock=self.clock, operators_channel=OPERATORS, term=lambda: self.term)

    async def look(self, cycle: Cycle) -> StepResult:
        """One tick of the cycle's step."""
        setup = ExperimentSetup(
            policy=dict(self.policy or HASTY),  # type: ignore[call-overload]
            slow_floor_ms=5000,
            approval=self.approval,
            shadow=self.shadow,
        )
        promotions = Promotions(clock=self.clock, operators_channel=OPERATORS)
        step = ExperimentingStep(self.store, self.clock, setup, promotions, self.mover)
        return await step(cycle)

    async def promote(self, cycle: Cycle) -> StepResult:
        """One tick of the step after it."""
        return await PromotingStep(self.store, self.clock, self.mover)(cycle)

    async def watch(self) -> Trial | None:
        """One tick of the watch over a promoted champion."""
        return await HoldbackWatch(self.store, self.clock, self.mover).look()

    async def trial(self, name: str = "new") -> Trial:
        """The experiment of an adapter as stored."""
        async with self.store.begin() as tx:
            found = await tx.experiments.get(f"e-c-{name}")
        assert found is not None
        return found

    def wait(self, **time: float) -> None:
        """Lets time pass."""
        self.clock.advance(timedelta(**time))

    async def to_stage(self, cycle: Cycle, stage: str = "TEST") -> Trial:
        """Takes an experiment through the ramp; nobody asks meanwhile."""
        for _ in range(6):
            await self.look(cycle)
            trial = await self.trial(str(cycle.context["adapter_id"]))
            if trial.stage == stage:
                return trial
            self.wait(hours=1.5)
        raise AssertionError(f"{trial.state} is not {stage}")

    async def meet(
        self, trial: Trial, rate: Rate, count: int = 120, *, lost: float = 0.0, bad: float = 0.0
    ) -> None:
        """Lets people ask, get answers and judge, over the next hours, until all has matured.

        Args:
            trial: The experiment with its stage.
            rate: Chance that an answer is liked.
            count: Questions.
            lost: Share of the challenger's threads that leave no trace at all.
            bad: Share of the challenger's answers that are off brand.
        """
        await self.meet_all([trial], lambda name: rate(name is not None), count, lost=lost, bad=bad)

    async def meet_all(
        self,
        trials: Sequence[Trial],
        rate: Callable[[str | None], float],
        count: int = 120,
        *,
        lost: float = 0.0,
        bad: float = 0.0,
    ) -> None:
        """The same where several challengers share the threads.

        Args:
            trials: The experiments with their stages.
            rate: Chance that an answer is liked, by challenger; None is the champion.
            count: Questions.
            lost: Share of the challengers' threads that leave no trace at all.
            bad: Share of the challengers' answers that are off brand.
        """
        rng = random.Random(trials[0].id + trials[0].stage)
        rows: dict[Table, list[dict[str, object]]] = {}
        for number in range(count):
            self.asked += 1
            at = self.clock.now() + timedelta(minutes=2 * number)
            ts = f"{at.timestamp():.6f}-{self.asked}"
            # By its id, because the salt is a secret of each run: the same crowd every time.
            u = bucket(trials[0].id, "T", "C", ts)
            drawn = draw(u, [trial.share for trial in trials])
            challenger = None if drawn.winner is None else trials[drawn.winner]
            if challenger and rng.random() < lost:
                continue
            off_brand = challenger is not None and rng.random() < bad
            up = rng.random() < rate(challenger.challenger_id if challenger else None)
            asked = _Asked(number=self.asked, key=f"T:C:{ts}", at=at, off_brand=off_brand, up=up)
            for table, row in _rows(asked, challenger or trials[0], challenger):
                rows.setdefault(table, []).append(row)
            rows.setdefault(assignments, []).extend(
                _assignment(asked, trial, u, mine=trial is challenger)
                for trial, u in zip(trials, drawn.us, strict=True)
            )
        async with self.store.begin() as tx:
            for table in (threads, assignments, interactions, vote_events):
                await tx.connection.execute(insert(table), rows[table])
        self.wait(minutes=2 * count + 70)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A question with its answer and what was thought of it."""

    number: int
    key: str
    at: datetime
    off_brand: bool
    up: bool

    @property
    def user(self) -> str:
        return f"U{self.number % 17}"


def _assignment(asked: _Asked, trial: Trial, u: float | None, *, mine: bool) -> dict[str, object]:
    return {
        "experiment_id": trial.id, "thread_key": asked.key, "user_id": asked.user,
        "arm": "challenger" if mine else "champion", "u": 0.5 if u is None else u,
        "share": trial.share, "stage": trial.stage, "assigned_at": asked.at,
        "forced_reason": OTHER_CHALLENGER if u is None else None,
    }  # fmt: skip


def _rows(
    asked: _Asked, named: Trial, challenger: Trial | None
) -> Iterator[tuple[Table, dict[str, object]]]:
    value, name = "up" if asked.up else "down", f"i-{asked.number}"
    yield threads, {
        "key": asked.key, "team": "T", "channel": "C", "thread_ts": asked.key, "started_by": "U",
        "started_at": asked.at, "placeholders": {},
    }  # fmt: skip
    yield interactions, {
        "id": name, "thread_key": asked.key, "team": "T", "channel": "C",
        "question_ts": asked.key, "asker": "U", "asked_at": asked.at, "question": "How?",
        "answer": "So.", "state": "posted", "answer_ts": asked.key, "retrieved": [],
        "answered_at": asked.at + timedelta(seconds=1), "experiment_id": named.id,
        "arm": "challenger" if challenger else "champion",
        "adapter_id": challenger.challenger_id if challenger else named.champion_id,
        "on_brand": 0.0 if asked.off_brand else 1.0,
    }  # fmt: skip
    yield vote_events, {
        "event_id": f"v-{asked.number}", "interaction_id": name, "user_id": asked.user,
        "rating": value, "value": value, "source": "button", "added": True, "reasons": [],
        "event_ts": asked.at.timestamp(), "recorded_at": asked.at + timedelta(minutes=5),
    }  # fmt: skip


async def open_cycle(
    store: Store,
    name: str = "new",
    *,
    at: datetime = NOW,
    by: str = "schedule",
    passed: bool = True,
) -> Cycle:
    """Stores a cycle whose adapter passed its gates (or did not) and is served."""
    cycle = Cycle(
        id=f"c-{name}",
        state=CycleState.EXPERIMENTING,
        version=8,
        trigger="schedule",
        requested_by=by,
        options=CycleOptions(),
        context={"adapter_id": name},
        started_at=at,
        updated_at=at,
    )
    async with store.begin() as tx:
        adapter = await add_adapter(tx, name)
        gates = {"passed": passed, "headline": "all gates passed", "results": [GAIN]}
        await tx.training.add_evaluation(f"r-{name}", "candidate", {}, at=at, gates=gates)
        champion, _ = await tx.adapters.champion()
        tried = [await tx.adapters.get(t.challenger_id) for t in await tx.experiments.running()]
        await serve(tx, *(item for item in (champion, *tried, adapter) if item is not None))
        await tx.cycles.start(replace(cycle, ended_at=at))
    return cycle


async def keep_file(store: Store, name: str, folder: Path, weights: bytes) -> Path:
    """Gives a stored adapter a real file with these weights."""
    file = folder / "adapter_model.safetensors"
    await asyncio.to_thread(file.write_bytes, weights)
    async with store.begin() as tx:
        await tx.connection.exec_driver_sql(
            "update adapters set path = %(path)s, sha256 = %(sha)s where id = %(name)s",
            {"path": str(folder), "sha": hashlib.sha256(weights).hexdigest(), "name": name},
        )
    return file
