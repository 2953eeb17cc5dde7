"""`understudy demo`: the whole loop, offline, on the sample company."""

import asyncio
import random
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.demo.script import QUICK, START, Scale
from feedback.clock import FileClock
from feedback.errors import ConfigurationError
from feedback.settings import Settings, load_settings


def demo(
    quick: Annotated[
        bool, typer.Option(help="A few minutes: shows every part, the figures mean nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Drives what people ask and do.")] = 1,
    keep: Annotated[
        bool, typer.Option(help="Leave the stack running afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Play a support team's weeks: ask, correct, mine, train, gate, experiment, promote."""
    settings = load_settings()
    if settings.slack.bot_token is not None:
        raise ConfigurationError(
            "SLACK_BOT_TOKEN is set, and the demo must not act in a real workspace; unset it"
        )
    folder = settings.state_dir / "demo"
    _start_over(folder)
    clock_file = folder / "clock"
    FileClock(clock_file).set(START)
    stage_settings = settings.model_copy(update={"state_dir": folder, "clock_file": clock_file})
    scale = QUICK if quick else Scale()
    asyncio.run(_play(stage_settings, scale, seed, keep=keep))


async def _play(settings: Settings, scale: Scale, seed: int, *, keep: bool) -> None:
    # The play needs the whole project; `understudy --help` must not wait for that.
    from deploy.demo.play import perform  # noqa: PLC0415

    console = Console()
    started = time.monotonic()
    await perform(settings, scale, random.Random(seed), console, started, keep=keep)


def _start_over(folder: Path) -> None:
    """Removes the state of an earlier demo, and refuses to touch one that still runs."""
    if (folder / "postgres" / "postmaster.pid").exists():
        raise ConfigurationError(
            f"another demo seems to run in {folder}; stop it, or remove the folder if it crashed"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
