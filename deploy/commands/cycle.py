"""`understudy cycle`: ask for a cycle, see where it is, pull the brake, go back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from deploy.wiring import make_clock, open_store
from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOptions
from feedback.domain.operating import Act, PromotionRequest, model_name
from feedback.domain.why import WhyReport
from feedback.operations import request_promotion, roll_back, set_brake, standing
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy, read_why

app = typer.Typer(help="Retraining cycles and the champion.", no_args_is_help=True)
T = TypeVar("T")
Reason = Annotated[str, typer.Option(help="Why; goes into the audit trail.")]
BY_COMMAND = "set on the command line"


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

    async def work(store: Store, _: Settings, clock: Clock) -> int:
        async with store.begin() as tx:
            return await tx.cycles.request(requested_by, options, clock.now())

    request_id = _with_store(work)
    print(f"request {request_id} is stored; `understudy cycle status` follows it")


@app.command("status")
def status() -> None:
    """Print champion, running experiment and the newest cycles as JSON."""

    async def work(store: Store, *_: object) -> dict[str, object]:
        async with store.begin() as tx:
            champion, _version = await tx.adapters.champion()
            route = await tx.routing.route()
            cycles = await tx.cycles.latest(5)
            trials = await tx.experiments.latest(1)
            asked = await tx.promotion_requests.latest()
        return {
            "champion": champion.id if champion else "base model",
            "frozen": route.frozen,
            "experiment": trials[0].id if trials and trials[0].ended_at is None else None,
            "decision": trials[0].decision if trials else None,
            "promotion_request": _request_row(asked) if asked else None,
            "cycles": [_row(cycle) for cycle in cycles],
        }

    print(json.dumps(_with_store(work), indent=2))


@app.command("why")
def why(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not text.")] = False
) -> None:
    """Say why (not) this week: every gate before a training and before a promotion."""

    async def work(store: Store, settings: Settings, clock: Clock) -> WhyReport:
        async with store.begin() as tx:
            return await read_why(tx, WhyPolicy.of(settings), clock.now())

    report = _with_store(work)
    if as_json:
        print(json.dumps(report.to_row(), indent=2))
        return
    for line in report.lines():
        print(line)


@app.command("freeze")
def freeze(
    by: Annotated[str, typer.Option(help="Who pulls the brake.")] = "operator",
    reason: Reason = BY_COMMAND,
) -> None:
    """Send every new turn to the champion at once."""
    _brake(on=True, by=by, reason=reason)
    print("frozen: every new turn goes to the champion; `understudy cycle unfreeze` ends it")


@app.command("unfreeze")
def unfreeze(
    by: Annotated[str, typer.Option(help="Who lets go.")] = "operator",
    reason: Reason = BY_COMMAND,
) -> None:
    """Let a running experiment go on."""
    _brake(on=False, by=by, reason=reason)
    print("no longer frozen")


@app.command("promote")
def promote(
    reason: Annotated[str, typer.Option(help="Why; goes into the audit trail.")],
    by: Annotated[str, typer.Option(help="Who asks.")] = "operator",
) -> None:
    """Ask the scheduler to promote the running experiment's challenger by hand.

    The scheduler promotes at its next look, if the challenger is still proven to be served, the
    experiment is in its last stage, the champion is the one it was, and nothing is frozen.
    """

    async def work(store: Store, settings: Settings, clock: Clock) -> str | None:
        async with store.begin() as tx:
            seen = await standing(tx)
            await request_promotion(tx, _act(settings, clock, by, reason), seen=seen)
        return seen.challenger_id

    print(
        f"asked to promote {_with_store(work)}; the scheduler takes it at its next look, "
        "`understudy cycle status` follows it"
    )


@app.command("rollback")
def rollback(
    by: Annotated[str, typer.Option(help="Who goes back.")] = "operator",
    reason: Reason = "rolled back by hand",
) -> None:
    """Make the previous champion (or the base model) the champion again.

    An experiment that runs against the present champion ends: it would compare with another one.
    """

    async def work(store: Store, settings: Settings, clock: Clock) -> str:
        async with store.begin() as tx:
            return model_name(await roll_back(tx, _act(settings, clock, by, reason)))

    print(f"champion is now {_with_store(work)}")


@app.command("audit")
def audit() -> None:
    """Verify the audit trail's hash chain."""

    async def work(store: Store, *_: object) -> int:
        async with store.begin() as tx:
            return await tx.audit.verify()

    print(f"{_with_store(work)} audit entries, chain intact")


def _brake(*, on: bool, by: str, reason: str) -> None:
    async def work(store: Store, settings: Settings, clock: Clock) -> None:
        async with store.begin() as tx:
            await set_brake(tx, on=on, act=_act(settings, clock, by, reason))

    _with_store(work)


def _act(settings: Settings, clock: Clock, by: str, reason: str) -> Act:
    channel = settings.slack.operators_channel
    return Act(by=by, reason=reason, at=clock.now(), channel=channel)


def _with_store(work: Callable[[Store, Settings, Clock], Awaitable[T]]) -> T:
    settings = load_settings()

    async def run_it() -> T:
        async with open_store(settings) as store:
            return await work(store, settings, make_clock(settings))

    return asyncio.run(run_it())


def _request_row(request: PromotionRequest) -> dict[str, object]:
    return {
        "experiment": request.experiment_id,
        "requested_by": request.requested_by,
        "reason": request.reason,
        "outcome": request.outcome or "waiting",
    }


def _row(cycle: Cycle) -> dict[str, object]:
    return {
        "id": cycle.id,
        "state": cycle.state,
        "outcome": cycle.outcome,
        "gate": cycle.gate,
        "reason": cycle.reason,
        "requested_by": cycle.requested_by,
    }
