"""A server that is restarted without an adapter: traffic leaves it, experiments are frozen."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from bot.routing import Turn, TurnRouter
from feedback.clock import FixedClock
from feedback.domain.interaction import Arm
from feedback.domain.learning import Adapter, ServedAdapter
from feedback.domain.operating import Act
from feedback.domain.rollout import AdapterRef
from feedback.domain.trial import Trial
from feedback.operations import set_brake
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store
from retrain.publishing.prover import AdapterProver
from retrain.publishing.watching import DeploymentWatch
from retrain.server.run import ServerOptions
from tests.integration.operating.stage import add_adapter
from tests.model_server import running_server

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHANNEL = "C0OPERATE5"


@dataclass
class Timer:
    """Real time in seconds, moved by hand."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A champion (cobalt), a challenger (amber), and whoever watches the server."""

    store: Store
    clock: FixedClock
    timer: Timer
    watch: DeploymentWatch
    options: ServerOptions

    async def look(self) -> None:
        """Looks at the server when the next check is due."""
        self.timer.seconds += 60
        self.clock.advance(timedelta(minutes=1))
        await self.watch.look()

    async def notices(self) -> list[str]:
        """What operators were told, oldest first."""
        async with self.store.begin() as tx:
            rows = await tx.connection.execute(text("select payload from outbox order by id"))
            return [row.payload["text"] for row in rows]

    async def turn(self, ts: float) -> Turn:
        """Who answers in the thread that began at `ts`."""
        thread = Thread(
            key=f"T:C:{ts}", team="T", channel="C", thread_ts=str(ts), started_by="U",
            started_at=self.clock.now(), placeholders={},
        )  # fmt: skip
        router = TurnRouter(self.store, url="", base_model="base")
        return await router.turn(thread, "U", at=self.clock.now())

    async def thread_of(self, arm: Arm, after: float = 0.0) -> float:
        """Returns a new thread that was assigned to an arm."""
        ts = after
        while True:
            ts += 1.0
            if (await self.turn(ts)).arm is arm:
                return ts

    def serving(self, url: str, *names: str, strict: bool = False) -> AbstractContextManager[str]:
        """A server in the place of the one before, with only these adapters."""
        adapters = {name: self.options.adapters[name] for name in names}
        port = urlsplit(url).port or 0
        return running_server(
            replace(self.options, adapters=adapters, strict_adapters=strict), port=port
        )


@pytest.fixture
async def stage(
    store: Store, tiny_base: Path, tiny_adapters: dict[str, Path], signed: list[Adapter]
) -> Stage:
    clock, timer = FixedClock(NOW), Timer()
    watch = DeploymentWatch(
        store, clock, AdapterProver(tiny_base), every_s=60, operators_channel=CHANNEL,
        monotonic=timer,
    )  # fmt: skip
    async with store.begin() as tx:
        for adapter in signed:
            made = await add_adapter(tx, adapter.id)
            await tx.connection.execute(
                text("delete from adapters where id = :id"), {"id": made.id}
            )
            await tx.adapters.add(
                replace(adapter, dataset_id=made.dataset_id, training_run_id=made.training_run_id)
            )
        await tx.adapters.promote("cobalt", version=0, at=NOW)
        await tx.experiments.add(
            Trial(
                id="e1", cycle_id="c1", challenger_id="amber", champion_id="cobalt", salt="00",
                policy={}, slow_ms=None, state="TEST", stage="TEST", share=0.5, version=1,
                started_at=NOW,
            )
        )  # fmt: skip
    return Stage(
        store=store, clock=clock, timer=timer, watch=watch,
        options=ServerOptions(model=tiny_base, adapters=tiny_adapters),
    )  # fmt: skip


async def publish(stage: Stage, url: str, signed: list[Adapter], base: Path) -> None:
    served = [ServedAdapter(name=a.id, path=str(a.path), sha256=a.sha256) for a in signed]
    proof = await AdapterProver(base, isolation_requests=6).prove(url, signed)
    async with stage.store.begin() as tx:
        deployment = await tx.deployments.desire("base", served, NOW)
        await tx.deployments.update(deployment, NOW, url=url)
        await tx.deployments.activate(deployment, proof=proof, at=NOW)


async def test_a_lost_challenger_freezes_the_experiment_until_a_person_lets_go(
    stage: Stage, signed: list[Adapter], tiny_base: Path
) -> None:
    with running_server(stage.options) as url:
        await publish(stage, url, signed, tiny_base)
        await stage.look()
        known = await stage.thread_of(Arm.CHALLENGER)
        assert await stage.notices() == []
    await stage.look()  # nobody listens: that is no loss, and nothing changes
    assert (await stage.turn(known)).adapter == ref(signed[1])

    with stage.serving(url, "cobalt"):
        await stage.watch.look()  # not due yet
        assert await stage.notices() == []
        await stage.look()
        assert (await stage.turn(known)).adapter == ref(signed[0]), "the champion takes over"
        fresh = await stage.turn(900.0)
        assert (fresh.adapter, fresh.arm) == (ref(signed[0]), None), "new threads take no part"
        told = await stage.notices()
        assert len(told) == 1
        assert "*Lost: amber.*" in told[0]
        assert "so cobalt answers" in told[0]
        assert "Experiments are frozen" in told[0]
        await stage.look()
        assert len(await stage.notices()) == 1, "what is known is told once"

        async with stage.store.begin() as tx:  # somebody lets go too early
            act = Act(by="U9", reason="", at=stage.clock.now())
            await set_brake(tx, on=False, act=act)
        await stage.look()
        assert (await stage.turn(901.0)).arm is None, "it is frozen again"
        assert len(await stage.notices()) == 2

    with stage.serving(url, "cobalt", "amber"):
        await stage.look()
        assert "*Back: amber* is proven again. Traffic stays frozen" in (await stage.notices())[-1]
        assert (await stage.turn(902.0)).arm is None
        async with stage.store.begin() as tx:
            await set_brake(tx, on=False, act=Act(by="U9", reason="", at=stage.clock.now()))
        assert (await stage.turn(known)).adapter == ref(signed[1])
        async with stage.store.begin() as tx:
            assert await tx.audit.verify() > 0


async def test_a_lost_champion_leaves_the_base(
    stage: Stage, signed: list[Adapter], tiny_base: Path
) -> None:
    with running_server(stage.options) as url:
        await publish(stage, url, signed, tiny_base)
        await stage.look()
        champion = await stage.thread_of(Arm.CHAMPION)
    with stage.serving(url, "amber", strict=True):
        await stage.look()
        turn = await stage.turn(champion)
        assert (turn.adapter, turn.error) == (None, "AdapterNotServedError")
        assert (await stage.turn(900.0)).adapter is None
        assert "so the base model answers" in (await stage.notices())[0]


async def test_without_an_experiment_nothing_is_frozen(
    stage: Stage, signed: list[Adapter], tiny_base: Path
) -> None:
    async with stage.store.begin() as tx:
        await tx.connection.execute(text("update experiments set state = 'FUTILE'"))
    with running_server(stage.options) as url:
        await publish(stage, url, signed, tiny_base)
    with stage.serving(url):
        await stage.look()
        async with stage.store.begin() as tx:
            route = await tx.routing.route()
        assert (route.served, route.frozen) == (frozenset(), False)
        assert "Lost: amber, cobalt" in (await stage.notices())[0]


def ref(adapter: Adapter) -> AdapterRef:
    return AdapterRef(id=adapter.id, sha256=adapter.sha256)
