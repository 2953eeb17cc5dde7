"""`understudy experiment ...`: what the evidence says."""

from typing import Annotated

import typer

from feedback.jsonl import dump, open_jsonl
from retrain.experiments.decision import Analysis
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog

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
) -> None:
    """Recompute the decision of an experiment from its events, in any order of arrival."""
    rows = open_jsonl(source)
    events = list(rows.rows(parse_event))
    rows.report()
    rows.require_rows()
    analysis = Analysis.of(ExperimentLog.of(events))
    for decision in analysis.every() if every else (analysis.last(),):
        typer.echo(dump(decision.to_row()))
