"""Stopping a challenger at a breach, by hand, and with the database down: no answer is lost."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from bot.routing import TurnRouter
from feedback.brake import Brake
from feedback.clock import FixedClock
from feedback.domain.cycle import Cycle
from feedback.errors import UnavailableError
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store
from tests.integration.operating.crowd import Theatre, alike, open_cycle
from tests.integration.operating.stage import NOW
from tests.waiting import until

LIMIT_S = 1.0


@dataclass
class Askers:
    """People who go on asking in new threads, and what became of every question."""

    router: TurnRouter
    at: datetime
    asked: int = 0
    failed: int = 0
    seen: list[tuple[float, str | None]] = field(default_factory=list)

    async def one(self) -> str | None:
        """Asks in a new thread; returns the adapter that answers."""
        self.asked += 1
        ts = f"{self.at.timestamp() + self.asked:.6f}"
        thread = Thread(
            key=f"T:C:{ts}", team="T", channel="C", thread_ts=ts, started_by="U",
            started_at=self.at, placeholders={},
        )  # fmt: skip
        turn = await self.router.turn(thread, "U", at=self.at)
        adapter = turn.adapter.id if turn.adapter else None
        self.seen.append((time.monotonic(), adapter))
        return adapter

    async def until(self, stop: asyncio.Event) -> None:
        """Asks without a pause until it is over."""
        while not stop.is_set():
            try:
                await self.one()
            except UnavailableError:
                self.failed += 1
            await asyncio.sleep(0.005)


@pytest.fixture
async def theatre(store: Store) -> Theatre:
    theatre = Theatre(store=store, clock=FixedClock(NOW))
    await theatre.to_stage(await open_cycle(store))
    return theatre


def router(store: Store, brake: Brake | None = None) -> TurnRouter:
    return TurnRouter(store, url="http://model", base_model="base", brake=brake)


async def test_a_breach_takes_new_threads_to_the_champion_and_no_answer_fails(
    theatre: Theatre,
) -> None:
    cycle = await theatre_cycle(theatre)
    await theatre.meet(await theatre.trial(), alike, 100, bad=0.8)
    people, stop = Askers(router(theatre.store), theatre.clock.now()), asyncio.Event()
    asking = [asyncio.create_task(people.until(stop)) for _ in range(3)]
    await until(lambda: any(adapter == "new" for _, adapter in people.seen))
    result = await theatre.look(cycle)
    ended, before = time.monotonic(), people.asked
    await until(lambda: people.asked > before + 100)
    stop.set()
    await asyncio.gather(*asking)
    assert result.gate == "REJECTED_GUARD:tone"
    assert people.failed == 0
    assert max(at for at, adapter in people.seen if adapter == "new") <= ended + LIMIT_S


async def test_the_flag_file_works_with_the_database_and_without(
    theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brake = Brake(file=tmp_path / "FREEZE")
    people = Askers(router(theatre.store, brake), theatre.clock.now())
    before = {await people.one() for _ in range(30)}
    assert before == {None, "new"}
    brake.pull("odd answers")
    assert {await people.one() for _ in range(30)} == {None}
    brake.release()
    assert {await people.one() for _ in range(30)} == {None, "new"}
    # The database goes away: the champion answers, whatever the file says, and nobody waits.
    monkeypatch.setattr(people.router, "_store", Store.connect("postgresql://x@127.0.0.1:9/x"))
    brake.pull("odd answers")
    started = time.monotonic()
    assert {await people.one() for _ in range(3)} == {None}
    assert time.monotonic() - started < 10.0


async def test_while_a_new_champion_is_watched_the_one_before_is_the_last_known_good(
    theatre: Theatre, tmp_path: Path
) -> None:
    cycle = await theatre_cycle(theatre)
    await theatre.meet(await theatre.trial(), lambda challenged: 0.95 if challenged else 0.4)
    await theatre.look(cycle)
    await theatre.promote(cycle)
    brake = Brake(file=tmp_path / "FREEZE")
    people = Askers(router(theatre.store, brake), theatre.clock.now())
    shares = [await people.one() for _ in range(60)]
    assert 35 <= shares.count("new") <= 58, "the base keeps a fifth"
    brake.pull("not sure about it")
    assert {await people.one() for _ in range(20)} == {None}


async def theatre_cycle(theatre: Theatre) -> Cycle:
    async with theatre.store.begin() as tx:
        found = await tx.cycles.get("c-new")
    assert found is not None
    return found
