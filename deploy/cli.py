"""The `understudy` command: one place where every subcommand is registered.

Errors of ours become one clear sentence on standard error and exit status 2; nothing is swallowed.
"""

import os
import sys

import typer

from deploy.commands import (
    bot,
    cycle,
    database,
    dataset,
    demo,
    doctor,
    experiment,
    importing,
    knowledge,
    mine,
    model_server,
    redact,
    sandbox,
    scheduler,
    tone,
    up,
    web,
)
from feedback.errors import ConfigurationError, UnderstudyError

app = typer.Typer(
    name="understudy",
    help="A Slack support bot that learns from corrections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_LOOP = "The loop"
_PROCESSES = "Processes"
_OFFLINE = "Offline commands (files in, JSON out)"

app.command("demo", rich_help_panel=_LOOP)(demo.demo)
app.command("up", rich_help_panel=_LOOP)(up.up)
app.command("doctor", rich_help_panel=_LOOP)(doctor.doctor)
app.add_typer(cycle.app, name="cycle", rich_help_panel=_LOOP)
app.command("bot", rich_help_panel=_PROCESSES)(bot.bot)
app.command("scheduler", rich_help_panel=_PROCESSES)(scheduler.scheduler)
app.command("web", rich_help_panel=_PROCESSES)(web.web)
app.command("model-server", rich_help_panel=_PROCESSES)(model_server.model_server)
app.command("sandbox", rich_help_panel=_PROCESSES)(sandbox.sandbox)
app.add_typer(database.app, name="db", rich_help_panel=_PROCESSES)
app.command("redact", rich_help_panel=_OFFLINE)(redact.redact)
app.add_typer(tone.app, name="tone", rich_help_panel=_OFFLINE)
app.command("mine", rich_help_panel=_OFFLINE)(mine.mine)
app.add_typer(knowledge.app, name="knowledge", rich_help_panel=_OFFLINE)
app.add_typer(dataset.app, name="dataset", rich_help_panel=_OFFLINE)
app.add_typer(experiment.app, name="experiment", rich_help_panel=_OFFLINE)
app.command("import", rich_help_panel=_OFFLINE)(importing.import_)


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except ConfigurationError as exc:
        for problem in exc.problems:
            print(f"understudy: {problem}", file=sys.stderr)
        raise SystemExit(2) from exc
    except UnderstudyError as exc:
        print(f"understudy: {exc}", file=sys.stderr)
        raise SystemExit(2) from exc
    except BrokenPipeError:
        # The reader (`head`, a pager) went away: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
