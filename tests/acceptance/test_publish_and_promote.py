"""From a trained adapter to the champion and back, with the real scheduler, servers and commands.

The tests share one stack and one trained adapter, registered anew by each; they run in this order.
"""

import asyncio
import functools
import random
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from bot.sandbox.client import SandboxMessage
from deploy.demo.cast import demo_cast
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.domain.interaction import Arm, Interaction
from feedback.domain.learning import Adapter, AdapterState, Deployment, DeploymentState
from tests.acceptance.adapters import register, swap_weights, train_small_adapter
from tests.acceptance.crowd import LIMIT_S
from tests.acceptance.running import Running, run_command, running_stack
from tests.acceptance.seeds import TEAM, seed_day
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

QUESTION = "What is 2 + 3?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Running]:
    async with running_stack(
        {
            "UNDERSTUDY_MODEL__MAX_TOKENS": "32",
            "UNDERSTUDY_MODEL__RECHECK_S": "5",
            "UNDERSTUDY_EXPERIMENT__SHADOW_QUESTIONS": "4",
            "UNDERSTUDY_EXPERIMENT__CHALLENGERS": "2",
        }
    ) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trained(running: Running) -> Path:
    folder: Path = running.stack.settings.state_dir / "trained" / "run"
    await asyncio.to_thread(folder.mkdir, parents=True)
    return await train_small_adapter(folder)


async def test_a_swapped_file_never_gets_traffic(running: Running, trained: Path) -> None:
    before = await active(running)
    adapter = await register(running.store, trained, "swapped", running.clock.now())
    swap_weights(adapter)
    cycle = await publish(running, adapter)
    cycle = await running.until_state(CycleState.DONE)
    assert (cycle.outcome, cycle.gate) == (CycleOutcome.STOPPED, "proof_of_load")
    assert "the file changed after training" in (cycle.reason or "")
    after = await active(running)
    assert (after.id, after.url, after.pid) == (before.id, before.url, before.pid)
    assert (await answered(running)).adapter_id is None
    failed = await deployment(running, cycle.context["deployment_id"])
    assert failed.state is DeploymentState.FAILED
    await until(lambda: f"model-server-{failed.id}" not in running.stack.supervisor.names())


async def test_a_worse_challenger_is_sent_away(running: Running, trained: Path) -> None:
    adapter = await register(running.store, trained, "worse", running.clock.now())
    await publish(running, adapter)
    cycle = await running.until_state(CycleState.EXPERIMENTING)
    cycle = await play(running, cycle, {None: 0.9, adapter.id: 0.1})
    assert cycle.outcome is CycleOutcome.ENDED
    assert cycle.gate in {"REJECTED_HARM", "FUTILE"}
    assert await champion(running) is None
    async with running.store.begin() as tx:
        found = await tx.adapters.get(adapter.id)
    assert found is not None
    assert found.state is AdapterState.RETIRED
    assert (await answered(running)).arm is None


async def test_kills_while_publishing_then_the_better_of_two_is_promoted_and_rolled_back(
    running: Running, trained: Path
) -> None:
    blue = await active(running)
    adapter = await register(running.store, trained, "better", running.clock.now())
    await publish(running, adapter)
    green = await waiting_server(running)
    name = f"model-server-{green}"
    running.kill("scheduler")
    await until(lambda: name in running.stack.supervisor.names(), LIMIT_S)
    running.kill(name)
    assert (await active(running)).id == blue.id, "nobody is served by an unproven server"
    assert (await answered(running)).adapter_id is None

    cycle = await running.until_state(CycleState.EXPERIMENTING)
    now_active = await active(running)
    assert now_active.id == green
    assert now_active.proof is not None
    assert adapter.id in now_active.proven
    await drained(running, blue)
    await until(lambda: proven_again(running, now_active), LIMIT_S)

    rival = await register(running.store, trained, "rival", running.clock.now())
    other = await publish(running, rival)
    await until(functools.partial(_on_stage, running, other), LIMIT_S)
    await both_meet_people(running, adapter.id, rival.id)
    other = await play(running, other, {None: 0.4, adapter.id: 0.95, rival.id: 0.05})
    assert other.outcome is CycleOutcome.ENDED, await stands(running, other)
    cycle = await play(running, cycle, {None: 0.4, adapter.id: 0.95})
    assert cycle.outcome is CycleOutcome.PROMOTED, await stands(running, cycle)
    assert await champion(running) == adapter.id
    answer = await answered(running)
    while answer.arm is Arm.CHAMPION:
        assert answer.adapter_id is None, "who is held back keeps the champion of before"
        answer = await answered(running)
    assert answer.adapter_id == adapter.id

    printed = await run_command(running, sys.executable, "-m", "deploy", "cycle", "rollback")
    assert "champion is now the base model" in printed
    assert await champion(running) is None
    assert (await answered(running)).adapter_id is None
    async with running.store.begin() as tx:
        assert await tx.audit.verify() > 0
        newest = (await tx.audit.entries(subject="champion"))[0]
    assert (newest.from_state, newest.to_state) == (adapter.id, "base")


async def both_meet_people(running: Running, left: str, right: str) -> None:
    """Two challengers and the champion share the threads, on servers that hold all of them."""
    assert {left, right} <= (await active(running)).proven
    met: dict[str | None, Interaction] = {}
    while {None, left, right} - met.keys():
        # Rated, because threads without a rating in one arm would rightly hold its promotion back.
        answer = await answered(running, liked=True)
        met[answer.adapter_id] = answer
    async with running.store.begin() as tx:
        arms = {
            name: {row.arm for row in await tx.routing.assignments(answer.thread_key)}
            for name, answer in met.items()
        }
    assert arms == {None: {Arm.CHAMPION}, left: set(Arm), right: set(Arm)}
    told = await run_command(running, sys.executable, "-m", "deploy", "experiment", "status")
    assert all(f"{name} against the base model" in told for name in (left, right))


async def stands(running: Running, cycle: Cycle) -> str:
    """Returns where the experiment of a cycle stands, and what it waits for."""
    async with running.store.begin() as tx:
        trial = await tx.experiments.of_cycle(cycle.id)
    assert trial is not None
    row = trial.evidence or {}
    waiting = [item["reason"] for item in row.get("waiting_for", ())]
    return f"{trial.state} {trial.decision} day {row.get('day')}: {waiting}, {row.get('counts')}"


async def proven_again(running: Running, before: Deployment) -> bool:
    """Whether the scheduler has looked at the server in use since, and found what it should."""
    now = await active(running)
    return now.id == before.id and now.proven == before.proven and "checked_at" in (now.proof or {})


async def publish(running: Running, adapter: Adapter) -> Cycle:
    """Opens a cycle whose adapter has just passed the gates."""
    running.clock.set(running.clock.now() + timedelta(hours=1))
    now = running.clock.now()
    cycle = Cycle(
        id=f"c-{adapter.id}",
        state=CycleState.PUBLISHING,
        version=7,
        trigger="request",
        requested_by="test",
        options=CycleOptions(),
        context={"adapter_id": adapter.id},
        started_at=now,
        updated_at=now,
    )
    async with running.store.begin() as tx:
        await tx.cycles.start(cycle)
    return cycle


async def play(running: Running, cycle: Cycle, good: Mapping[str | None, float]) -> Cycle:
    """Lets days go by, with people who judge, until the scheduler has decided."""
    rng = random.Random(11)
    await until(lambda: _on_stage(running, cycle), LIMIT_S)
    first = running.clock.now().replace(hour=9) + timedelta(days=1)
    for day in range(14):
        morning = first + timedelta(days=day)
        running.clock.set(morning)
        cycle = await running.looked(cycle.id)
        if cycle.outcome is not None:
            break
        # The day's threads all lie in the past of the next look.
        running.clock.set(morning + timedelta(hours=10))
        async with running.store.begin() as tx:
            await seed_day(tx, morning, good, rng)
    return cycle


async def _on_stage(running: Running, cycle: Cycle) -> bool:
    """Whether the challenger has answered in the shadow and may meet people."""
    async with running.store.begin() as tx:
        trial = await tx.experiments.of_cycle(cycle.id)
    return trial is not None and bool(trial.stage)


async def active(running: Running) -> Deployment:
    async with running.store.begin() as tx:
        found = await tx.deployments.active()
    assert found is not None
    return found


async def deployment(running: Running, number: int) -> Deployment:
    async with running.store.begin() as tx:
        found = await tx.deployments.get(number)
    assert found is not None
    return found


async def champion(running: Running) -> str | None:
    async with running.store.begin() as tx:
        current, _ = await tx.adapters.champion()
    return current.id if current else None


async def waiting_server(running: Running) -> int:
    """Returns the deployment that the open cycle waits for."""
    numbers: list[int] = []

    async def waits() -> bool:
        cycle = await running.cycle()
        assert cycle is not None
        assert cycle.state is CycleState.PUBLISHING, "it was published before it could be killed"
        numbers.extend([cycle.context["deployment_id"]] if "deployment_id" in cycle.context else [])
        return bool(numbers)

    await until(waits, LIMIT_S)
    return numbers[-1]


async def drained(running: Running, old: Deployment) -> None:
    """The server that was in use finishes what it has in hand and is gone."""

    async def stopped() -> bool:
        return (await deployment(running, old.id)).state is DeploymentState.STOPPED

    await until(stopped, LIMIT_S)
    assert old.pid is not None
    assert not psutil.pid_exists(old.pid)


async def answered(running: Running, *, liked: bool = False) -> Interaction:
    """Asks a question in a new thread and returns the record of its answer; it may get a thumb."""
    cast = demo_cast()
    channel = cast.channels[0]
    asked = await running.people.post(
        user=cast.agents[0], channel=channel, text=f"<@{cast.bot}> {QUESTION}"
    )
    answer: SandboxMessage = await running.people.wait_for_reply(
        channel=channel, thread_ts=asked.ts, timeout_s=LIMIT_S
    )
    found: list[Interaction] = []

    async def recorded() -> bool:
        async with running.store.begin() as tx:
            interaction = await tx.conversations.by_answer(TEAM, channel, answer.ts)
        found.extend([interaction] if interaction else [])
        return bool(found)

    await until(recorded, LIMIT_S)
    if liked:
        await running.people.react(user=cast.agents[0], message=answer, name="+1")

        async def rated() -> bool:
            async with running.store.begin() as tx:
                return bool(await tx.votes.of_interaction(found[-1].id))

        await until(rated, LIMIT_S)
    return found[-1]
