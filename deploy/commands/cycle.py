"""`understudy cycle`: ask for a cycle, see where it is, pull the brake, go back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from deploy.wiring import make_clock, open_store
from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOptions
from feedback.errors import InvalidInputError
from feedback.settings import load_settings
from feedback.store.unit_of_work import Store

app = typer.Typer(help="Retraining cycles and the champion.", no_args_is_help=True)
T = TypeVar("T")


@app.command("run")
def run(
    disable_cleaner: Annotated[
        list[str] | None,
        typer.Option(help="Leave a cleaner out, to see the gates work; repeatable."),
    ] = None,
    requested_by: Annotated[str, typer.Option(help="Goes into the audit trail.")] = "operator",
) -> None:
    """Ask the scheduler for a cycle now."""
    options = CycleOptions(disabled_cleaners=tuple(disable_cleaner or ()))

    async def work(store: Store, clock: Clock) -> int:
        async with store.begin() as tx:
            return await tx.cycles.request(requested_by, options, clock.now())

    request_id = _with_store(work)
    print(f"request {request_id} is stored; `understudy cycle status` follows it")


@app.command("status")
def status() -> None:
    """Print champion, running experiment and the newest cycles as JSON."""

    async def work(store: Store, _: Clock) -> dict[str, object]:
        async with store.begin() as tx:
            champion = await tx.routing.champion()
            route = await tx.routing.route()
            cycles = await tx.cycles.latest(5)
            trials = await tx.experiments.latest(1)
        return {
            "champion": champion.id if champion else "base model",
            "frozen": route.frozen,
            "experiment": trials[0].id if trials and trials[0].ended_at is None else None,
            "decision": trials[0].decision if trials else None,
            "cycles": [_row(cycle) for cycle in cycles],
        }

    print(json.dumps(_with_store(work), indent=2))


@app.command("freeze")
def freeze(by: Annotated[str, typer.Option(help="Who pulls the brake.")] = "operator") -> None:
    """Send every new turn to the champion at once."""
    _switch("frozen", "on", by)
    print("frozen: every new turn goes to the champion; `understudy cycle unfreeze` ends it")


@app.command("unfreeze")
def unfreeze(by: Annotated[str, typer.Option(help="Who lets go.")] = "operator") -> None:
    """Let a running experiment go on."""
    _switch("frozen", "off", by)
    print("no longer frozen")


@app.command("rollback")
def rollback(by: Annotated[str, typer.Option(help="Who goes back.")] = "operator") -> None:
    """Make the previous champion (or the base model) the champion again."""

    async def work(store: Store, clock: Clock) -> str:
        async with store.begin() as tx:
            current, version = await tx.adapters.champion()
            if current is None:
                raise InvalidInputError("the champion is the base model; there is nothing to undo")
            previous = await tx.adapters.previous_champion()
            target = previous.id if previous else None
            await tx.adapters.promote(target, version=version, at=clock.now(), undo=True)
            await tx.audit.append(
                subject="champion",
                from_state=current.id,
                to_state=target or "base",
                actor=by,
                reason="rolled back by hand",
                at=clock.now(),
            )
        return target or "the base model"

    print(f"champion is now {_with_store(work)}")


@app.command("audit")
def audit() -> None:
    """Verify the audit trail's hash chain."""

    async def work(store: Store, _: Clock) -> int:
        async with store.begin() as tx:
            return await tx.audit.verify()

    print(f"{_with_store(work)} audit entries, chain intact")


def _switch(name: str, value: str, by: str) -> None:
    async def work(store: Store, clock: Clock) -> None:
        async with store.begin() as tx:
            before = await tx.switches.get(name) or "off"
            await tx.switches.set(name, value, by=by, at=clock.now())
            await tx.audit.append(
                subject=f"switch:{name}",
                from_state=before,
                to_state=value,
                actor=by,
                reason="set on the command line",
                at=clock.now(),
            )

    _with_store(work)


def _with_store(work: Callable[[Store, Clock], Awaitable[T]]) -> T:
    settings = load_settings()

    async def run_it() -> T:
        async with open_store(settings) as store:
            return await work(store, make_clock(settings))

    return asyncio.run(run_it())


def _row(cycle: Cycle) -> dict[str, object]:
    return {
        "id": cycle.id,
        "state": cycle.state,
        "outcome": cycle.outcome,
        "gate": cycle.gate,
        "reason": cycle.reason,
        "requested_by": cycle.requested_by,
    }
