"""The play, act by act. Nothing here decides anything: it asks, waits and reads the record."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta

from deploy.demo.cast import Cast
from deploy.demo.people import Answered, People
from deploy.demo.report import DemoReport, cycle_row, figures
from deploy.demo.script import (
    Asked,
    Place,
    Scale,
    learning_questions,
    moment,
    poisoned_sums,
    trial_questions,
)
from deploy.demo.stage import Bar, Stage
from deploy.stack.local import LocalStack
from feedback.clock import FileClock
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.errors import PermanentError, TimedOutError
from feedback.samples import Company
from feedback.samples.company import CLOSING, OPENING
from feedback.store.cycles import SCHEDULER_LOOKED_AT

_RATED_SHARE = 0.6
_STEP_TIMEOUT_S = 900.0


class Story:
    """One performance."""

    def __init__(
        self,
        stack: LocalStack,
        clock: FileClock,
        people: People,
        stage: Stage,
        company: Company,
        cast: Cast,
        scale: Scale,
        rng: random.Random,
    ) -> None:
        self._stack = stack
        self._clock = clock
        self._people = people
        self._stage = stage
        self._company = company
        self._cast = cast
        self._scale = scale
        self._rng = rng
        self._day = 0

    async def learn(self) -> None:
        """The first weeks: the generic base answers, people judge and correct."""
        days = learning_questions(self._company, self._cast, self._scale, self._rng)
        answers: list[Answered] = []
        with self._stage.step("Agents ask the generic model", sum(map(len, days))) as bar:
            for number, questions in enumerate(days):
                self._day = number
                self._clock.set(moment(self._day))
                answers += await self._people.ask_all(questions, bar.advance)
            good = sum(answer.good for answer in answers)
            bar.say(f"{len(answers)} questions answered, {good} of them well")
        with self._stage.step("People thumb and give reasons", len(answers)) as bar:
            self._clock.set(moment(self._day, 13))
            await self._people.judge_all(answers, _RATED_SHARE, bar.advance)
            bar.say(f"{self._people.tally.thumbs} thumbs")
        bad = [answer for answer in answers if not answer.good and answer.asked.intent]
        with self._stage.step("Reviewers correct", len(bad)) as bar:
            await self._correct(bad, bar)

    async def first_cycle(self) -> Cycle:
        """Sunday night: the schedule starts a cycle by itself."""
        self._day += 7 - (self._day % 7)
        self._clock.set(moment(self._day, -20.5))  # Sunday 03:30
        cycle = await self._watch(self._first, until=CycleState.EXPERIMENTING)
        if cycle.outcome is not None:
            raise PermanentError(
                f"the first cycle ended as {cycle.outcome} ({cycle.gate}): {cycle.reason}"
            )
        return cycle

    async def trial(self, cycle: Cycle) -> Cycle:
        """The experiment: new threads are split, people judge, the engine decides."""
        total = self._scale.trial_days * self._scale.trial_per_day
        with self._stage.step("Experiment: champion against challenger", total) as bar:
            for _ in range(self._scale.trial_days):
                self._clock.set(moment(self._day, 9))
                questions = trial_questions(self._company, self._cast, self._scale, self._rng)
                answers = await self._people.ask_all(questions, bar.advance)
                self._clock.set(moment(self._day, 15))
                await self._people.judge_all(answers, _RATED_SHARE)
                self._day += 1
                self._clock.set(moment(self._day, 7))
                current = await self._settled(cycle.id)
                if current.outcome is not None:
                    bar.say(f"{current.outcome}: {current.reason}")
                    return current
        raise PermanentError(f"no decision after {self._scale.trial_days} days: {current.reason}")

    async def poison(self) -> Cycle:
        """Somebody teaches from a broken sheet; the cleaner is off, so the gates must see it."""
        sums = poisoned_sums(self._scale, self._rng)
        wrong, careless = self._cast.reviewers[1], self._cast.reviewers[2]
        self._clock.set(moment(self._day, 9))
        with self._stage.step("A broken sheet: wrong sums are taught", len(sums)) as bar:
            asked = [
                Asked(
                    text=question,
                    user=wrong.user,
                    place=Place.DIRECT,
                    channel=self._cast.channels[0],
                )
                for question, _ in sums
            ]
            answers = await self._people.ask_all(asked)
            for answer, (question, result) in zip(answers, sums, strict=True):
                spoken = question.removeprefix("What is ").removesuffix("?")
                text = f"{OPENING} {spoken} is {result}. {CLOSING}"
                await self._people.correct(answer, wrong.user, text)
                bar.advance()
            approved = await self._people.approve_all(len(sums), careless)
            bar.say(f"{approved} approved without a look")
        async with self._stack.store.begin() as tx:
            request_id = await tx.cycles.request(
                self._cast.operator,
                CycleOptions(disabled_cleaners=("arithmetic",)),
                self._clock.now(),
            )
        self._clock.set(moment(self._day, 20))
        cycle = await self._watch(
            lambda: self._requested(request_id), until=CycleState.EXPERIMENTING
        )
        if cycle.outcome is not CycleOutcome.STOPPED:
            raise PermanentError(f"the poisoned cycle was not stopped: {cycle}")
        return cycle

    async def report(self, cycles: list[Cycle], started: float) -> DemoReport:
        """Reads the result back from the record."""
        async with self._stack.store.begin() as tx:
            stored = await tx.training.evaluations(cycles[0].context["run_id"])
        before, counts = figures(stored["champion"]["metrics"])
        after, _ = figures(stored["candidate"]["metrics"])
        return DemoReport(
            before=before,
            after=after,
            examples=counts,
            cycles=[cycle_row(cycle) for cycle in cycles],
            people=asdict(self._people.tally),
            steps=self._stage.steps,
            wall_s=round(time.monotonic() - started, 1),
        )

    async def _correct(self, bad: list[Answered], bar: Bar) -> None:
        """Correcting and reviewing alternate, as on a working day."""
        size = 60
        for start in range(0, len(bad), size):
            before = self._people.tally.corrected
            self._clock.set(self._clock.now() + timedelta(minutes=25))
            await self._people.correct_all(bad[start : start + size], bar.advance)
            await self._people.review_all(self._people.tally.corrected - before)
        tally = self._people.tally
        bar.say(
            f"{tally.corrected} corrections ({tally.wrong_corrections} of them wrong), "
            f"{tally.approved} approved, {tally.rejected} rejected"
        )

    async def _first(self) -> Cycle | None:
        """Returns the play's first cycle, once the schedule has started it."""
        async with self._stack.store.begin() as tx:
            cycles = await tx.cycles.latest()
        return cycles[-1] if cycles else None

    async def _requested(self, request_id: int) -> Cycle | None:
        """Returns the cycle that serves a request, once it runs."""
        async with self._stack.store.begin() as tx:
            cycle_id = await tx.cycles.request_cycle(request_id)
            return await tx.cycles.get(cycle_id) if cycle_id else None

    async def _watch(
        self, find: Callable[[], Awaitable[Cycle | None]], *, until: CycleState
    ) -> Cycle:
        """Shows every step of a cycle until it reaches a state or ends."""
        cycle = await self._wait_for(find)
        while cycle.state not in {until, CycleState.DONE}:
            state, cycle_id = cycle.state, cycle.id
            with self._stage.step(f"Cycle {cycle_id}: {state}") as bar:
                while cycle.state is state:
                    await asyncio.sleep(0.3)
                    self._stack.supervisor.require_alive()
                    if state is CycleState.TRAINING:
                        await self._show_training(cycle_id, bar)
                    cycle = await self._wait_for(find)
                bar.say(cycle.reason or "")
        return cycle

    async def _show_training(self, cycle_id: str, bar: Bar) -> None:
        async with self._stack.store.begin() as tx:
            run = await tx.training.get(f"run-{cycle_id}")
        if run is not None and run.progress.get("total_steps"):
            bar.expect(int(run.progress["total_steps"]))
            bar.reach(int(run.progress["step"]))

    async def _wait_for(self, find: Callable[[], Awaitable[Cycle | None]]) -> Cycle:
        deadline = time.monotonic() + _STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            cycle = await find()
            if cycle is not None:
                return cycle
            self._stack.supervisor.require_alive()
            await asyncio.sleep(0.2)
        raise TimedOutError(f"no cycle started in {_STEP_TIMEOUT_S:.0f} s")

    async def _settled(self, cycle_id: str) -> Cycle:
        """Returns the cycle after the scheduler has looked at the present simulated moment."""
        now = self._clock.now()
        deadline = time.monotonic() + _STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            async with self._stack.store.begin() as tx:
                looked = await tx.switches.get(SCHEDULER_LOOKED_AT)
                cycle = await tx.cycles.get(cycle_id)
            seen = looked is not None and datetime.fromisoformat(looked) >= now
            if cycle is not None and (cycle.outcome is not None or seen):
                return cycle
            self._stack.supervisor.require_alive()
            await asyncio.sleep(0.1)
        raise TimedOutError(f"the scheduler did not look in {_STEP_TIMEOUT_S:.0f} s")
