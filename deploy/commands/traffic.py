"""What operators do to traffic, on the command line: shared by `cycle` and `experiment`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from deploy.wiring import make_clock, open_store
from feedback import promoting
from feedback.brake import Brake
from feedback.clock import Clock
from feedback.domain.operating import Act, model_name
from feedback.errors import ConfigurationError, UnavailableError
from feedback.operations import roll_back, set_brake, standing
from feedback.pausing import set_pause
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store

T = TypeVar("T")
Reason = Annotated[str, typer.Option(help="Why; goes into the audit trail.")]
Which = Annotated[
    str | None,
    typer.Argument(
        metavar="[EXPERIMENT]",
        help="Its id or its challenger's; only needed when several are running.",
    ),
]
BY_COMMAND = "set on the command line"


def freeze(
    by: Annotated[str, typer.Option(help="Who pulls the brake.")] = "operator",
    reason: Reason = BY_COMMAND,
    *,
    file: Annotated[
        bool, typer.Option("--file", help="Write the flag file only; needs no database.")
    ] = False,
) -> None:
    """Send every new turn to the last known good model at once.

    Where the database cannot be reached the flag file is written: bots look at it at every answer.
    """
    settings = load_settings()
    brake = Brake.of(settings)
    if not file:
        try:
            _brake(on=True, by=by, reason=reason)
        except (UnavailableError, ConfigurationError) as exc:
            typer.echo(f"the database is out of reach ({exc})", err=True)
            file = True
    if file:
        brake.pull(f"{by}: {reason}")
        print(f"frozen by {brake.file}: every bot that sees this file obeys at its next answer")
        return
    print(
        "frozen: every new turn goes to the champion, or to the one before while the present one "
        "is still watched; `understudy experiment unfreeze` ends it"
    )


def unfreeze(
    by: Annotated[str, typer.Option(help="Who lets go.")] = "operator",
    reason: Reason = BY_COMMAND,
) -> None:
    """Let a running experiment go on; the flag file is removed, too."""
    brake = Brake.of(load_settings())
    brake.release()
    _brake(on=False, by=by, reason=reason)
    print("no longer frozen")
    if brake.pulled():
        print(f"but {brake.reason()}, which holds until whoever set it takes it away")


def promote(
    reason: Annotated[str, typer.Option(help="Why; goes into the audit trail.")],
    experiment: Which = None,
    *,
    by: Annotated[str, typer.Option(help="Who asks.")] = "operator",
) -> None:
    """Approve the promotion that waits, or ask for one by hand.

    By hand the scheduler promotes at its next look, if the challenger is still proven to be
    served, the experiment is in its last stage, the champion is the one it was, and nothing is
    frozen or paused. After an experiment that ended undecided it does so, too, if the lift is
    surely above -0.03 and the offline suite favours the challenger.
    """

    async def work(store: Store, settings: Settings, clock: Clock) -> str:
        act = _act(settings, clock, by, reason)
        async with store.begin() as tx:
            return await promoting.promote(tx, act, seen=await standing(tx, experiment))

    print(f"{with_store(work)} (`understudy experiment status` follows it)")


def pause(
    experiment: Which = None,
    *,
    by: Annotated[str, typer.Option(help="Who pauses it.")] = "operator",
    reason: Reason = BY_COMMAND,
) -> None:
    """Let no new thread join an experiment: it goes to the champion and takes no part.

    Threads that met the challenger keep it, their outcomes still count, and harm still ends it.
    The ramp and a promotion wait; the time-out does not.
    """
    print(with_store(_pausing(experiment, by, reason, on=True)))


def resume(
    experiment: Which = None,
    *,
    by: Annotated[str, typer.Option(help="Who lets it go on.")] = "operator",
    reason: Reason = BY_COMMAND,
) -> None:
    """Let new threads join a paused experiment again."""
    print(with_store(_pausing(experiment, by, reason, on=False)))


def rollback(
    by: Annotated[str, typer.Option(help="Who goes back.")] = "operator",
    reason: Reason = "rolled back by hand",
) -> None:
    """Make the previous champion (or the base model) the champion again.

    A promotion that waits is withdrawn instead. An experiment that runs against the present
    champion ends: it would compare with another one.
    """

    async def work(store: Store, settings: Settings, clock: Clock) -> str:
        async with store.begin() as tx:
            waits = (await standing(tx)).promotion_waits
            now = model_name(await roll_back(tx, _act(settings, clock, by, reason)))
        return f"promotion withdrawn, champion stays {now}" if waits else f"champion is now {now}"

    print(with_store(work))


def verify_audit() -> None:
    """Verify the audit trail's hash chain; exit status 2 names the first entry that is wrong."""

    async def work(store: Store, *_: object) -> int:
        async with store.begin() as tx:
            return await tx.audit.verify()

    print(f"{with_store(work)} audit entries, chain intact")


def with_store(work: Callable[[Store, Settings, Clock], Awaitable[T]]) -> T:
    """Runs something with the record open."""
    settings = load_settings()

    async def run_it() -> T:
        async with open_store(settings) as store:
            return await work(store, settings, make_clock(settings))

    return asyncio.run(run_it())


def _pausing(
    experiment: str | None, by: str, reason: str, *, on: bool
) -> Callable[[Store, Settings, Clock], Awaitable[str]]:
    async def work(store: Store, settings: Settings, clock: Clock) -> str:
        act = _act(settings, clock, by, reason)
        async with store.begin() as tx:
            return await set_pause(tx, act, on=on, experiment=experiment)

    return work


def _brake(*, on: bool, by: str, reason: str) -> None:
    async def work(store: Store, settings: Settings, clock: Clock) -> None:
        async with store.begin() as tx:
            await set_brake(tx, on=on, act=_act(settings, clock, by, reason))

    with_store(work)


def _act(settings: Settings, clock: Clock, by: str, reason: str) -> Act:
    channel = settings.slack.operators_channel
    return Act(by=by, reason=reason, at=clock.now(), channel=channel)
