"""The `understudy` command: one place where every subcommand is registered.

A subcommand's module is imported when it is called, so that each process of the stack loads only
what it needs. Errors of ours become one clear sentence on standard error and exit status 2, or 75
when they may pass (the database restarts): then a supervisor tries again.
"""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from feedback.errors import ConfigurationError, RetryableError, UnderstudyError

EXIT_TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h."""
_LOOP = "The loop"
_PROCESSES = "Processes"
_OFFLINE = "Offline commands (files in, JSON out)"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """Where a subcommand lives: a function, or a Typer application with further commands."""

    module: str
    attribute: str
    panel: str

    def add_to(self, app: typer.Typer, name: str) -> None:
        """Imports the module and registers what it holds."""
        module = import_module(f"deploy.commands.{self.module}")
        found: Callable[..., Any] | typer.Typer = getattr(module, self.attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, rich_help_panel=self.panel)
        else:
            app.command(name, rich_help_panel=self.panel)(found)


COMMANDS = {
    "demo": Registered(module="demo", attribute="demo", panel=_LOOP),
    "up": Registered(module="up", attribute="up", panel=_LOOP),
    "doctor": Registered(module="doctor", attribute="doctor", panel=_LOOP),
    "cycle": Registered(module="cycle", attribute="app", panel=_LOOP),
    "adapter": Registered(module="adapter", attribute="app", panel=_LOOP),
    "review": Registered(module="review", attribute="app", panel=_LOOP),
    "privacy": Registered(module="privacy", attribute="app", panel=_LOOP),
    "bot": Registered(module="bot", attribute="bot", panel=_PROCESSES),
    "scheduler": Registered(module="scheduler", attribute="scheduler", panel=_PROCESSES),
    "web": Registered(module="web", attribute="web", panel=_PROCESSES),
    "model-server": Registered(module="model_server", attribute="model_server", panel=_PROCESSES),
    "model-fleet": Registered(module="model_fleet", attribute="model_fleet", panel=_PROCESSES),
    "slack": Registered(module="slack", attribute="app", panel=_PROCESSES),
    "sandbox": Registered(module="sandbox", attribute="sandbox", panel=_PROCESSES),
    "db": Registered(module="database", attribute="app", panel=_PROCESSES),
    "redact": Registered(module="redact", attribute="redact", panel=_OFFLINE),
    "tone": Registered(module="tone", attribute="app", panel=_OFFLINE),
    "mine": Registered(module="mine", attribute="mine", panel=_OFFLINE),
    "knowledge": Registered(module="knowledge", attribute="app", panel=_OFFLINE),
    "dataset": Registered(module="dataset", attribute="app", panel=_OFFLINE),
    "experiment": Registered(module="experiment", attribute="app", panel=_OFFLINE),
    "import": Registered(module="importing", attribute="import_", panel=_OFFLINE),
}


def build(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """Returns the application with these subcommands."""
    app = typer.Typer(
        name="understudy",
        help="A Slack support bot that learns from corrections.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # With a callback even a single command stays a subcommand.
    app.callback()(_root)
    for name in names:
        COMMANDS[name].add_to(app, name)
    return app


def _root() -> None:
    """A Slack support bot that learns from corrections."""


def main() -> None:
    """Runs the command line."""
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    app = build([called]) if called in COMMANDS else build()
    try:
        app()
    except ConfigurationError as exc:
        for problem in exc.problems:
            print(f"understudy: {problem}", file=sys.stderr)
        raise SystemExit(2) from exc
    except RetryableError as exc:
        print(f"understudy: {exc}", file=sys.stderr)
        raise SystemExit(EXIT_TRY_AGAIN) from exc
    except UnderstudyError as exc:
        print(f"understudy: {exc}", file=sys.stderr)
        raise SystemExit(2) from exc
    except BrokenPipeError:
        # The reader (`head`, a pager) went away: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
