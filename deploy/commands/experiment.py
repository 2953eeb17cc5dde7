"""`understudy experiment`: start one, see what the evidence says, step in, replay a log."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from deploy.commands import traffic
from deploy.commands.traffic import Which, with_store
from feedback.choosing import find, only
from feedback.clock import Clock
from feedback.domain.cycle import CycleOptions
from feedback.domain.learning import AdapterState
from feedback.domain.operating import model_name
from feedback.domain.outlook import Outlook, describe_gate
from feedback.domain.trial import Part, Trial, decision_words
from feedback.errors import InvalidInputError, NotFoundError
from feedback.jsonl import JsonlSource, dump, open_jsonl
from feedback.overriding import by_hand_words
from feedback.settings import Settings
from feedback.store.unit_of_work import Store, Transaction
from feedback.web.views.experiment import ExperimentView, experiment_view
from feedback.why import read_promotion
from retrain.experiments.decision import Analysis
from retrain.experiments.events import Event, parse_event
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import unknown_keys

app = typer.Typer(help="Experiments: challenger against champion.", no_args_is_help=True)
audit = typer.Typer(help="The audit trail.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.callback()
def _audit() -> None:
    """The audit trail."""


audit.command("verify")(traffic.verify_audit)
for _name, _command in (
    ("promote", traffic.promote),
    ("rollback", traffic.rollback),
    ("pause", traffic.pause),
    ("resume", traffic.resume),
    ("freeze", traffic.freeze),
    ("unfreeze", traffic.unfreeze),
):
    app.command(_name)(_command)


@app.command()
def start(
    adapter: Annotated[str, typer.Argument(help="Id of a trained adapter that passed its gates.")],
    by: Annotated[str, typer.Option(help="Who asks; somebody else has to approve.")] = "operator",
) -> None:
    """Try an adapter again that exists already: publish it, prove it, and start its experiment.

    A cycle does this for a new adapter by itself. There are as many experiments at a time as
    UNDERSTUDY_EXPERIMENT__CHALLENGERS says; this one is queued when there is no room. Of several
    that wait only the newest is tried.
    """

    async def work(store: Store, _: Settings, clock: Clock) -> int:
        async with store.begin() as tx:
            found = await tx.adapters.get(adapter)
            if found is None:
                known = ", ".join(item.id for item in await tx.adapters.latest(5)) or "none"
                raise NotFoundError(f"there is no adapter {adapter}; the newest are: {known}")
            champion, _version = await tx.adapters.champion()
            blocked = await tx.adapters.blocked_by(found)
            if champion is not None and champion.id == adapter:
                raise InvalidInputError(f"{adapter} is the champion; try another one against it")
            if found.state is AdapterState.STOPPED or blocked is not None:
                why = f"{blocked} was taken back" if blocked else "a gate stopped it"
                raise InvalidInputError(f"{adapter} may not be tried: {why}; train a new one")
            options = CycleOptions(adapter_id=adapter)
            return await tx.cycles.request(by, options, clock.now())

    print(
        f"request {with_store(work)} is stored: {adapter} is published and tried as soon as "
        "there is room for it; `understudy experiment status` follows it"
    )


@app.command()
def status(
    experiment: Which = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not text.")] = False,
) -> None:
    """Say where an experiment stands, why it waits, what would end it, and when to expect that.

    Without a name all that are on stage are shown, else those that wait, else the last one that
    ended. As JSON one is an object, several are a list.
    """

    async def work(store: Store, _: Settings, clock: Clock) -> tuple[list[_Told], bool]:
        async with store.begin() as tx:
            frozen = (await tx.routing.route()).frozen
            trials = [await find(tx, experiment)] if experiment else await _present(tx)
            return [await _told(tx, trial, clock.now()) for trial in trials], frozen

    found, frozen = with_store(work)
    if as_json:
        rows = [told.row(frozen=frozen) for told in found]
        print(json.dumps(rows if len(rows) > 1 else rows[0], indent=2, default=str))
        return
    for told in found:
        for line in _story(told.view, told.outlook, frozen=frozen):
            print(line)
        if told.by_hand:
            print(_line("by hand", told.by_hand))


@app.command()
def events(
    experiment: Which = None,
    *,
    holdback: Annotated[
        bool, typer.Option("--holdback", help="The watch after the promotion, not the test.")
    ] = False,
) -> None:
    """Print the stored log of an experiment as `replay` reads it."""

    async def work(store: Store, *_: object) -> list[dict[str, Any]]:
        async with store.begin() as tx:
            trial = await find(tx, experiment) if experiment else only(await _present(tx))
            return await tx.experiments.event_rows(trial, Part.HOLDBACK if holdback else Part.TEST)

    for row in with_store(work):
        print(dump(row))


@app.command()
def replay(
    source: Annotated[
        str, typer.Option("--input", metavar="F", help="Events as JSONL; - reads standard input.")
    ] = "-",
    *,
    every: Annotated[
        bool, typer.Option("--every", help="Print the decision after every event, not the last.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict/--lenient",
            help="Refuse a policy with unknown constants, or name them and go on without.",
        ),
    ] = False,
) -> None:
    """Recompute the decision of an experiment from its events, in any order of arrival."""
    rows = open_jsonl(source)
    parsed = list(rows.rows(parse_event if strict else lambda row: _parse_leniently(row, rows)))
    rows.report()
    rows.require_rows()
    analysis = Analysis.of(ExperimentLog.of(parsed))
    for decision in analysis.every() if every else (analysis.last(),):
        typer.echo(dump(decision.to_row()))


@dataclass(frozen=True, kw_only=True)
class _Told:
    view: ExperimentView
    outlook: Outlook | None
    by_hand: str

    def row(self, *, frozen: bool) -> dict[str, Any]:
        row = {**asdict(self.view), "frozen": frozen, "by_hand": self.by_hand}
        return {key: value for key, value in row.items() if not key.endswith("_chart")}


async def _told(tx: Transaction, trial: Trial, now: datetime) -> _Told:
    outlook = await read_promotion(tx, trial, now) if trial.ended_at is None else None
    stages = await tx.experiments.stages(trial.id)
    view = experiment_view(trial, stages, now, outlook=outlook)
    return _Told(view=view, outlook=outlook, by_hand=await by_hand_words(tx, trial))


async def _present(tx: Transaction) -> list[Trial]:
    found = await tx.experiments.shown()
    if not found:
        raise NotFoundError(
            "there has been no experiment yet; a cycle starts one, or `understudy experiment start`"
        )
    return found


def _story(view: ExperimentView, outlook: Outlook | None, *, frozen: bool) -> Iterator[str]:
    yield (
        f"{view.id}: {view.challenger_id} against {model_name(view.champion_id)}, day "
        f"{view.days:.1f}"
    )
    yield _line("stands", view.stands + (", FROZEN" if frozen else ""))
    yield _line("decision", f"{decision_words(view.decision)}: {view.reason}")
    for item in view.evidence:
        limit = f" of {item.threshold:g}" if item.threshold else ""
        yield _line("evidence", f"{item.name}: E {item.e:.3g}{limit}, then {item.then}")
    if view.lift is not None:
        lift, low, high = view.lift
        yield _line("lift", f"{lift:+.3f}, between {low:+.2f} and {high:+.2f}")
    for row in view.counts:
        yield _line(row.name, f"{row.champion} champion, {row.challenger} challenger")
    for gate in outlook.closed if outlook else ():
        yield _line("waits for", f"{gate.gate}: {describe_gate(gate)}")
    if view.running:
        yield _line("expected", _expected(view, outlook))
    if view.latest_end is not None:
        yield _line("ends", f"undecided, the champion stays from {view.latest_end:%Y-%m-%d} on")


def _line(name: str, text: str) -> str:
    return f"  {name:<24} {text}"


def _expected(view: ExperimentView, outlook: Outlook | None) -> str:
    if view.holdback_until is not None:
        return f"champion for good on {view.holdback_until:%Y-%m-%d}, if nothing shows"
    if outlook is not None and not outlook.closed:
        return "promotion at the next look"
    if outlook is None or outlook.expected is None:
        return "nobody can tell yet"
    return f"promotion about {outlook.expected:%Y-%m-%d}, if it goes on like this"


def _parse_leniently(row: Mapping[str, Any], rows: JsonlSource) -> Event:
    """Parses a row; unknown constants of a policy are reported and left out."""
    policy = row.get("policy")
    if row.get("type") != "experiment" or not isinstance(policy, Mapping):
        return parse_event(row)
    unknown = unknown_keys(policy)
    for key in unknown:
        typer.echo(f"{rows.name}: policy key {key!r} is unknown and left out", err=True)
    return parse_event({**row, "policy": {k: v for k, v in policy.items() if k not in unknown}})
