"""Garbage collection of adapters: what anybody may still ask for stays, in any world."""

import asyncio
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from feedback.domain.cycle import Cycle, CycleOptions, CycleState
from feedback.domain.learning import Adapter, AdapterState, DeploymentState, ServedAdapter
from feedback.domain.trial import Trial
from feedback.errors import ConflictError
from feedback.store.unit_of_work import Store, Transaction
from retrain.publishing.registry import AdapterRegistry, Collection, collect
from tests.integration.operating.stage import add_adapter
from tests.waiting import until

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WORLDS = 15


class KilledError(Exception):
    """The process ends here."""


@dataclass(frozen=True, kw_only=True)
class Storehouse:
    """Adapters with files."""

    store: Store
    registry: AdapterRegistry
    root: Path

    async def add(self, tx: Transaction, name: str, *, age_days: float = 90) -> Adapter:
        """An adapter with files of its own, of an age."""
        made = await add_adapter(tx, f"template-{name}")
        await tx.connection.execute(text("delete from adapters where id = :id"), {"id": made.id})
        path = self.root / name
        path.mkdir(parents=True)
        (path / "adapter_model.safetensors").write_bytes(b"12345")
        adapter = replace(
            made, id=name, path=path, state=AdapterState.RETIRED,
            created_at=NOW - timedelta(days=age_days),
        )  # fmt: skip
        await tx.adapters.add(adapter)
        return adapter

    async def collect(self, *, dry_run: bool = False) -> Collection:
        return await collect(
            self.store, self.registry, now=NOW, unused_for=timedelta(days=30), by="ops",
            dry_run=dry_run,
        )  # fmt: skip

    def kept(self) -> set[str]:
        return {path.name for path in self.root.iterdir()} if self.root.exists() else set()


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Storehouse:
    root = tmp_path / "adapters"
    return Storehouse(store=store, registry=AdapterRegistry(root), root=root)


def trial(number: int, challenger: str, champion: str | None, *, over: bool) -> Trial:
    return Trial(
        id=f"e{number}", cycle_id=f"c{number}", challenger_id=challenger, champion_id=champion,
        salt="s", policy={}, slow_ms=None, state="FUTILE" if over else "TEST", stage="TEST",
        share=0.5, version=1, started_at=NOW, ended_at=NOW if over else None,
    )  # fmt: skip


def open_cycle(adapter_id: str) -> Cycle:
    return Cycle(
        id="c", state=CycleState.PUBLISHING, version=1, trigger="request", requested_by="x",
        options=CycleOptions(), context={"adapter_id": adapter_id}, started_at=NOW, updated_at=NOW,
    )  # fmt: skip


async def test_in_any_world_what_is_asked_for_stays(house: Storehouse) -> None:
    for seed in range(WORLDS):
        dice = random.Random(seed)
        names = [f"w{seed}-{number}" for number in range(dice.randint(1, 9))]
        wanted: set[str] = set()
        async with house.store.begin() as tx:
            for statement in (
                "experiment_stages",
                "experiments",
                "deployments",
                "cycles",
                "champion",
            ):
                await tx.connection.execute(text(f"delete from {statement}"))
            young = {name for name in names if dice.random() < 0.2}
            for name in names:
                await house.add(tx, name, age_days=1 if name in young else 90)
            wanted |= young
            for version, name in enumerate(dice.sample(names, dice.randint(0, min(3, len(names))))):
                await tx.adapters.promote(name, version=version, at=NOW)
            champion, _ = await tx.adapters.champion()
            previous = await tx.adapters.previous_champion()
            wanted |= {item.id for item in (champion, previous) if item}
            for number in range(dice.randint(0, 3)):
                one, other = dice.choice(names), dice.choice([*names, None])
                over = dice.random() < 0.5
                await tx.experiments.add(trial(number, one, other, over=over))
                wanted |= set() if over else {one, *([other] if other else [])}
            for state in dice.sample(sorted(DeploymentState), dice.randint(0, 4)):
                served = dice.sample(names, dice.randint(0, min(2, len(names))))
                row = await tx.deployments.desire(
                    "b", [ServedAdapter(name=n, path="/p", sha256="s") for n in served], NOW
                )
                await tx.deployments.update(row, NOW, state=state, proof={})
                if state not in {DeploymentState.STOPPED, DeploymentState.FAILED}:
                    wanted |= set(served)
            if dice.random() < 0.5:
                made = dice.choice(names)
                await tx.cycles.start(open_cycle(made))
                wanted.add(made)
        planned = await house.collect(dry_run=True)
        assert house.kept() == set(names), "a dry run changes nothing"
        done = await house.collect()
        assert house.kept() == wanted, seed
        assert {a.id for a in done.adapters} == {a.id for a in planned.adapters}
        assert {a.id for a in done.adapters} == set(names) - wanted
        assert done.freed == planned.freed == 5 * len(done.adapters)
        assert set(done.held) == wanted - (young - set(done.held))
        assert (await house.collect()).adapters == ()
        for path in house.root.iterdir():
            (path / "adapter_model.safetensors").unlink()
            path.rmdir()


async def test_a_crash_at_any_point_is_made_up_for(
    house: Storehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.store.begin() as tx:
        for name in ("a", "b"):
            await house.add(tx, name)

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:  # after the rows, before the files
        patch.setattr(AdapterRegistry, "remove", killed)
        with pytest.raises(KilledError):
            await house.collect()
    assert house.kept() == {"a", "b"}
    (house.root / "a").rename(house.root / ".trash-a")  # as a kill in the middle of a leaves it
    done = await house.collect()
    assert ([a.id for a in done.adapters], house.kept()) == (["b"], set())
    async with house.store.begin() as tx:
        assert await tx.audit.verify() == 2
        stored = await tx.adapters.get("a")
    assert stored is not None
    assert stored.collected_at == NOW


async def test_who_is_made_champion_meanwhile_is_not_collected(house: Storehouse) -> None:
    async with house.store.begin() as tx:
        await house.add(tx, "a")
    async with house.store.begin() as tx:
        await tx.adapters.promote("a", version=0, at=NOW)
        collecting = asyncio.create_task(mark(house.store, "a"))
        await waits_for_lock(house.store)
    assert await collecting is False


async def test_whose_files_are_gone_is_not_made_champion(house: Storehouse) -> None:
    async with house.store.begin() as tx:
        adapter = await house.add(tx, "a")
        await tx.collecting.mark("a", at=NOW)
    with pytest.raises(ConflictError, match="files of a are gone"):
        async with house.store.begin() as tx:
            await tx.adapters.promote("a", version=0, at=NOW)
    async with house.store.begin() as tx:  # trained once more, to the same weights
        await tx.adapters.add(adapter)
        await tx.adapters.promote("a", version=0, at=NOW)


async def mark(store: Store, name: str) -> bool:
    async with store.begin() as tx:
        return await tx.collecting.mark(name, at=NOW)


async def waits_for_lock(store: Store) -> None:
    async def waiting() -> bool:
        async with store.begin() as tx:
            count = await tx.connection.scalar(
                text("select count(*) from pg_locks where not granted")
            )
        return bool(count)

    await until(waiting)
