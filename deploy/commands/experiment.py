"""`understudy experiment ...`: what the evidence says."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from feedback.jsonl import JsonlSource, dump, open_jsonl
from retrain.experiments.decision import Analysis
from retrain.experiments.events import Event, parse_event
from retrain.experiments.log import ExperimentLog
from retrain.experiments.policy import unknown_keys

app = typer.Typer(help="Experiments: challenger against champion.", no_args_is_help=True)


@app.callback()
def experiment() -> None:
    """Experiments: challenger against champion."""


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
    events = list(rows.rows(parse_event if strict else lambda row: _parse_leniently(row, rows)))
    rows.report()
    rows.require_rows()
    analysis = Analysis.of(ExperimentLog.of(events))
    for decision in analysis.every() if every else (analysis.last(),):
        typer.echo(dump(decision.to_row()))


def _parse_leniently(row: Mapping[str, Any], rows: JsonlSource) -> Event:
    """Parses a row; unknown constants of a policy are reported and left out."""
    policy = row.get("policy")
    if row.get("type") != "experiment" or not isinstance(policy, Mapping):
        return parse_event(row)
    unknown = unknown_keys(policy)
    for key in unknown:
        typer.echo(f"{rows.name}: policy key {key!r} is unknown and left out", err=True)
    return parse_event({**row, "policy": {k: v for k, v in policy.items() if k not in unknown}})
