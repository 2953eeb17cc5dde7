"""Killed at every point: the record reads as if nothing had happened."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from feedback.clock import FixedClock
from feedback.domain.trial import Verdict
from feedback.promoting import decide_promotion
from feedback.store.unit_of_work import Store, Transaction
from tests.conftest import TestDatabases
from tests.integration.operating.crowd import Theatre, alike, better, open_cycle, worse
from tests.integration.operating.stage import NOW
from tests.integration.operating.test_experiment_life import ADMIN, states
from tests.integration.operating.test_traffic import notices


class KilledError(Exception):
    """The process is gone."""


class DyingStore(Store):
    """Dies in every other transaction: before the commit, or right after it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.engine)
        self.deaths = 0
        self._rng = random.Random(11)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """One transaction, and perhaps the last one of this process."""
        fate = self._rng.choice(("before", "after", "", ""))
        async with super().begin() as tx:
            yield tx
            if fate == "before":
                self.deaths += 1
                raise KilledError
        if fate == "after":
            self.deaths += 1
            raise KilledError


async def until_it_lives(act: Callable[[], Awaitable[object]]) -> None:
    """Starts anew whenever it was killed, as a supervisor does."""
    for _ in range(50):
        try:
            await act()
        except KilledError:
            continue
        return
    raise AssertionError("it dies for ever")


async def play(people: Store, scheduler: Store, *, harm: bool) -> dict[str, object]:
    """One experiment from the queue to its end; people's own acts are never killed."""
    theatre = Theatre(store=people, clock=FixedClock(NOW), approval=True)
    cycle = await open_cycle(people)
    theatre.store = scheduler

    async def tick() -> None:
        await until_it_lives(lambda: theatre.look(cycle))

    for _ in range(4):
        await tick()
        theatre.wait(hours=1.5)
    theatre.store = people
    trial = await theatre.trial()
    assert trial.stage == "TEST"
    await theatre.meet(trial, better)
    theatre.store = scheduler
    await tick()
    async with people.begin() as tx:
        trial = await tx.experiments.get("e-c-new") or trial
        await decide_promotion(tx, ADMIN, trial.id, trial.version, Verdict.GRANTED)
    await tick()
    await until_it_lives(lambda: theatre.promote(cycle))
    theatre.store = people
    await theatre.meet(await theatre.trial(), worse if harm else alike, 140 if harm else 20)
    theatre.store = scheduler
    theatre.wait(days=2)
    await until_it_lives(theatre.watch)
    async with people.begin() as tx:
        champion, version = await tx.adapters.champion()
        entries = await tx.audit.entries(limit=200)
        stages = await tx.experiments.stages("e-c-new")
        evidence = (await tx.experiments.get("e-c-new") or trial).evidence
    return {
        "states": await states(people),
        "champion": (champion.id if champion else None, version),
        "audit": [(e.subject, e.from_state, e.to_state, e.reason, e.at) for e in entries],
        "stages": [(s.stage, s.share, s.entered_at) for s in stages],
        "log": (evidence or {})["evidence"]["log"],
        "told": await notices(people),
    }


@pytest.mark.parametrize("harm", [False, True], ids=["quiet", "harm"])
async def test_killed_at_every_point_the_end_is_the_same(
    databases: TestDatabases, monkeypatch: pytest.MonkeyPatch, *, harm: bool
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda n: "7" * 2 * n)
    found = []
    for killed in (False, True):
        url = databases.create()
        store = Store.connect(url)
        scheduler = DyingStore(store) if killed else store
        try:
            found.append(await play(store, scheduler, harm=harm))
        finally:
            await store.close()
            databases.drop(url)
        if isinstance(scheduler, DyingStore):
            assert scheduler.deaths > 15
    undisturbed, survived = found
    assert undisturbed["states"] == [
        "QUEUED", "OFFLINE_OK", "LOADED", "CANARY", "RAMP", "TEST", "READY", "PROMOTING",
        "HOLDBACK", "ROLLED_BACK" if harm else "CHAMPION",
    ]  # fmt: skip
    assert survived == undisturbed
