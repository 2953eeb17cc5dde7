"""`understudy cycle`: ask for a cycle, see where it is, pull the brake, go back."""

import json
from typing import Annotated

import typer

from deploy.commands import traffic
from deploy.commands.traffic import with_store
from feedback.clock import Clock
from feedback.domain.cycle import Cycle, CycleOptions
from feedback.domain.operating import PromotionRequest
from feedback.domain.why import WhyReport
from feedback.settings import Settings
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy, read_why

app = typer.Typer(help="Retraining cycles and the champion.", no_args_is_help=True)


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

    request_id = with_store(work)
    print(f"request {request_id} is stored; `understudy cycle status` follows it")


@app.command("status")
def status() -> None:
    """Print champion, running experiments and the newest cycles as JSON."""

    async def work(store: Store, *_: object) -> dict[str, object]:
        async with store.begin() as tx:
            champion, _version = await tx.adapters.champion()
            route = await tx.routing.route()
            cycles = await tx.cycles.latest(5)
            trials = await tx.experiments.current()
            asked = await tx.promotion_requests.latest()
        return {
            "champion": champion.id if champion else "base model",
            "frozen": route.frozen,
            "experiments": [{"id": trial.id, "decision": trial.decision} for trial in trials],
            "promotion_request": _request_row(asked) if asked else None,
            "cycles": [_row(cycle) for cycle in cycles],
        }

    print(json.dumps(with_store(work), indent=2))


@app.command("why")
def why(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not text.")] = False
) -> None:
    """Say why (not) this week: every gate before a training and before a promotion."""

    async def work(store: Store, settings: Settings, clock: Clock) -> WhyReport:
        async with store.begin() as tx:
            return await read_why(tx, WhyPolicy.of(settings), clock.now())

    report = with_store(work)
    if as_json:
        print(json.dumps(report.to_row(), indent=2))
        return
    for line in report.lines():
        print(line)


for _name, _command in (
    ("freeze", traffic.freeze),
    ("unfreeze", traffic.unfreeze),
    ("promote", traffic.promote),
    ("rollback", traffic.rollback),
    ("audit", traffic.verify_audit),
):
    app.command(_name)(_command)


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
