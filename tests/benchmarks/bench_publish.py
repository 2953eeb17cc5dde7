"""Publishing while people ask: real model servers, fleet, proofs and pointer, and 20 in flight.

Prints one JSON object on its last line and exits 1 when a request failed or was answered by the
wrong adapter. Each request reads the pointer and asks as the bot does; each answer is compared, at
the end, with what its adapter answers alone. All runs on one machine: the servers are processes
with one torch thread each, the load is this process.

- `flip_s`: from asking for the publish to the moved pointer; `start_s` of it until the new server
  answered, the rest is proof. `drain_s`: from the moved pointer to the end of the old server.
- `latency_ms`: p50 and p99 of requests that began before, during (until the old server ended) and
  after the publish.

The model is random, 4 layers of width 128, and never ends an answer by itself.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.model_clients import ModelClients
from deploy.platforms import fleet_of
from deploy.stack.launching import look_after, process_platform
from deploy.stack.processes import Supervisor
from deploy.wiring import open_store
from feedback.clock import SystemClock
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetVersion,
    Deployment,
    DeploymentState,
    RunState,
    TrainingRun,
)
from feedback.domain.rollout import Route
from feedback.errors import UnderstudyError
from feedback.ports import GenerationOptions, Message
from feedback.settings import Settings, child_environment, load_settings
from feedback.store.unit_of_work import Store
from retrain.cycle.publishing import Publisher
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.publishing.prover import AdapterProver
from retrain.publishing.signing import sign_adapter
from tests.acceptance.running import free_ports
from tests.tiny_model import build_adapter, build_model
from tests.waiting import until

IN_FLIGHT = 20
CHAMPION, CHALLENGER = "cobalt", "jade"
OPTIONS = GenerationOptions(max_tokens=16)
PROGRAM = "import typer; from deploy.commands.model_server import model_server as m; typer.run(m)"
QUESTIONS = tuple(
    (Message(role="user", content=f"How do I reset export token {number} of my workspace?"),)
    for number in range(8)
)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Size:
    """Seconds of load before the publish, and at least in all."""

    before_s: float
    load_s: float


FULL = Size(before_s=15.0, load_s=75.0)
QUICK = Size(before_s=1.0, load_s=5.0)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request.

    Attributes:
        began: Seconds of a monotonic clock.
        text: The answer; None when it failed.
    """

    began: float
    took_s: float
    question: int
    adapter: str | None
    text: str | None
    error: str = ""


@dataclass(kw_only=True)
class Load:
    """Requests that never stop: each reads the pointer and asks where it points."""

    store: Store
    clients: ModelClients
    asked: list[Asked] = field(default_factory=list)
    stopped: bool = False

    async def worker(self, number: int) -> None:
        """Asks one question after the other until it is stopped."""
        while not self.stopped:
            number += 1
            await self.one(number)

    async def more(self, count: int) -> None:
        """Waits until so many more requests are over, however busy the machine is."""
        goal = len(self.asked) + count
        await until(lambda: len(self.asked) >= goal, 120.0)

    async def one(self, number: int) -> None:
        """Asks the base, the champion, or the challenger once the pointer names it."""
        began = time.perf_counter()
        async with self.store.begin() as tx:
            route = await tx.routing.route()
        names = [None, *sorted(route.served)]
        question, adapter = number % len(QUESTIONS), names[number % len(names)]
        text, error = None, ""
        try:
            text = await answer(self.clients, route, question, adapter)
        except UnderstudyError as exc:
            error = f"{type(exc).__name__}: {exc}"
        self.asked.append(
            Asked(
                began=began,
                took_s=time.perf_counter() - began,
                question=question,
                adapter=adapter,
                text=text,
                error=error,
            )
        )


async def answer(clients: ModelClients, route: Route, question: int, adapter: str | None) -> str:
    """Asks the server that the pointer names, as the bot does."""
    assert route.url is not None
    generator = clients.at(route.url, route.served, route.base_name)
    return (await generator.chat(QUESTIONS[question], adapter=adapter, options=OPTIONS)).text


def settings_for(folder: Path, base: Path) -> Settings:
    """Returns settings of a stack whose servers have no embedder, which nobody asks here."""
    launcher = [sys.executable, "-c", f"'{PROGRAM}'", "--model", str(base), "--no-embedder"]
    return load_settings(
        {
            "UNDERSTUDY_STATE_DIR": str(folder),
            "UNDERSTUDY_STACK__MODEL_PORTS": str(free_ports(2)),
            "UNDERSTUDY_PUBLISH__LAUNCHER": " ".join([*launcher, "--strict-adapters"]),
            "UNDERSTUDY_PUBLISH__LINGER_S": "5",
            "BASE_MODEL": str(base),
        }
    )


async def register(store: Store, base: Path, name: str, path: Path) -> Adapter:
    """Stores a signed adapter."""
    signature = await asyncio.to_thread(sign_adapter, base, path, ("Hello!", "Why?"))
    adapter = Adapter(
        id=name,
        sha256=file_sha256(path / WEIGHTS),
        path=path,
        base_model=str(base),
        template_sha256="",
        dataset_id=f"d-{name}",
        training_run_id=f"r-{name}",
        signature=signature.to_json(),
        state=AdapterState.TRAINED,
        created_at=NOW,
    )
    version = DatasetVersion(
        id=adapter.dataset_id,
        path=path,
        labels=0,
        train_rows=0,
        holdout_rows=0,
        rejected_rows=0,
        manifest={},
        created_at=NOW,
    )
    run = TrainingRun(
        id=adapter.training_run_id,
        dataset_id=version.id,
        base_model=str(base),
        spec={},
        state=RunState.FINISHED,
        started_at=NOW,
    )
    async with store.begin() as tx:
        await tx.datasets.add(version, [])
        await tx.training.start(run)
        await tx.adapters.add(adapter)
    return adapter


@asynccontextmanager
async def model_servers(settings: Settings, store: Store) -> AsyncIterator[None]:
    """Looks after model servers as `understudy up` does."""
    supervisor = Supervisor()
    platform = process_platform(supervisor, settings, child_environment(settings))
    looking = asyncio.create_task(look_after(fleet_of(settings, store, SystemClock(), platform)))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await platform.close()
        await supervisor.close()


async def publish_under_load(store: Store, folder: Path, size: Size) -> dict[str, Any]:
    """Publishes a challenger beside the champion while requests are in flight; see the module."""
    base, paths = _build(folder)
    settings = settings_for(folder / "state", base)
    publisher = Publisher(store, SystemClock(), AdapterProver(base), str(base))
    champion = await register(store, base, CHAMPION, paths[CHAMPION])
    challenger = await register(store, base, CHALLENGER, paths[CHALLENGER])
    async with store.begin() as tx:
        await tx.adapters.promote(champion.id, version=0, at=NOW)
    clients = ModelClients(api_key="-")
    async with model_servers(settings, store):
        await until(publisher.ensure_baseline, 120.0)
        blue = await _active(store)
        load = Load(store=store, clients=clients)
        workers = [asyncio.create_task(load.worker(number)) for number in range(IN_FLIGHT)]
        begun = time.perf_counter()
        await load.more(IN_FLIGHT)
        await asyncio.sleep(size.before_s)
        times = await _publish(store, publisher, challenger.id, blue.id)
        await load.more(3 * IN_FLIGHT)
        await asyncio.sleep(max(0.0, size.load_s - (time.perf_counter() - begun)))
        load.stopped = True
        await asyncio.gather(*workers)
        report = _report(load.asked, times, await _alone(store, clients, load.asked))
    await clients.aclose()
    return report


@dataclass(frozen=True, kw_only=True)
class _Times:
    asked: float
    ready: float
    flipped: float
    drained: float


async def _publish(store: Store, publisher: Publisher, adapter_id: str, blue: int) -> _Times:
    asked = time.perf_counter()
    number, _ = await publisher.publish(adapter_id, None)
    ready: list[float] = []

    async def active() -> bool:
        async with store.begin() as tx:
            row = await tx.deployments.get(number)
        looked = time.perf_counter()
        done = (await publisher.publish(adapter_id, number))[1]
        # A server that gets ready between the look and the call is proven in that very call.
        if not ready and (done or (row is not None and row.state is DeploymentState.READY)):
            ready.append(looked)
        return done

    async def ended() -> bool:
        async with store.begin() as tx:
            row = await tx.deployments.get(blue)
        return row is not None and row.state is DeploymentState.STOPPED

    await until(active, 120.0)
    flipped = time.perf_counter()
    await until(ended, 120.0)
    return _Times(asked=asked, ready=ready[0], flipped=flipped, drained=time.perf_counter())


async def _alone(
    store: Store, clients: ModelClients, asked: Sequence[Asked]
) -> dict[tuple[int, str | None], str]:
    """Returns what each adapter answers when nothing else is asked."""
    async with store.begin() as tx:
        route = await tx.routing.route()
    pairs = sorted({(each.question, each.adapter) for each in asked}, key=str)
    return {pair: await answer(clients, route, *pair) for pair in pairs}


def _report(
    asked: Sequence[Asked], times: _Times, alone: dict[tuple[int, str | None], str]
) -> dict[str, Any]:
    answered = [each for each in asked if each.text is not None]
    wrong = [each for each in answered if each.text != alone[each.question, each.adapter]]
    phases = {
        "before": [each for each in answered if each.began < times.asked],
        "during": [each for each in answered if times.asked <= each.began < times.drained],
        "after": [each for each in answered if each.began >= times.drained],
    }
    return {
        "in_flight": IN_FLIGHT,
        "requests": len(asked),
        "failures": len(asked) - len(answered),
        "wrong_answers": len(wrong),
        "by_adapter": dict(Counter(each.adapter or "base" for each in answered)),
        "load_s": round(asked[-1].began - asked[0].began, 1),
        "start_s": round(times.ready - times.asked, 2),
        "flip_s": round(times.flipped - times.asked, 2),
        "drain_s": round(times.drained - times.flipped, 2),
        "latency_ms": {name: _latency(each) for name, each in phases.items()},
        "first_failures": [each.error for each in asked if each.text is None][:3],
    }


def _latency(asked: Sequence[Asked]) -> dict[str, float]:
    cuts = statistics.quantiles([each.took_s * 1e3 for each in asked], n=100)
    return {"n": len(asked), "p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


async def _active(store: Store) -> Deployment:
    async with store.begin() as tx:
        found = await tx.deployments.active()
    assert found is not None
    return found


def _build(folder: Path) -> tuple[Path, dict[str, Path]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        base = build_model(folder / "base", ends=False)
        return base, {
            name: build_adapter(base, folder / name, seed=number)
            for number, name in enumerate((CHAMPION, CHALLENGER), start=1)
        }


async def measure(folder: Path, size: Size) -> dict[str, Any]:
    """Returns the report; `folder` has a short path: the embedded database keeps a socket there."""
    settings = load_settings({"UNDERSTUDY_STATE_DIR": str(folder / "record")})
    async with open_store(settings) as store:
        return await publish_under_load(store, folder, size)


def main() -> int:
    """Prints the report; the exit status says whether nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a short run")
    size = QUICK if parser.parse_args().quick else FULL
    # The embedded database's socket must have a short path.
    with tempfile.TemporaryDirectory(prefix="ub-", dir="/tmp") as folder:
        report = asyncio.run(measure(Path(folder), size))
    print(json.dumps(report))
    return 0 if report["failures"] == 0 and report["wrong_answers"] == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
