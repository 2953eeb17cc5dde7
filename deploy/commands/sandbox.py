"""`understudy sandbox`: the local Slack workspace on its own."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.sandbox.server import RunningSandbox, run
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.workspace import read_workspace
from feedback.clock import FileClock, SystemClock


def sandbox(
    port: Annotated[
        int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 8610,
    state_dir: Annotated[
        Path, typer.Option(help="Where messages, views and undelivered events are kept.")
    ] = Path(".understudy/sandbox"),
    clock_file: Annotated[
        Path | None,
        typer.Option(help="Simulated time: a file that holds seconds since the epoch."),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="JSON seed of people and channels for a new state.")
    ] = None,
    events_url: Annotated[
        str | None,
        typer.Option(help="Deliver by signed HTTP to this URL instead of Socket Mode."),
    ] = None,
    enforce_tiers: Annotated[
        bool,
        typer.Option(
            help="Answer 429 to calls above Slack's rate tiers, in real time. Switch it off where "
            "simulated people act faster than real time."
        ),
    ] = True,
    deadline_s: Annotated[
        float,
        typer.Option(
            help="Real seconds for an ack, and the life of a trigger_id. Slack gives 3; a busy "
            "machine may need more.",
            min=0.1,
        ),
    ] = 3.0,
) -> None:
    """Runs a local Slack workspace with a web page, until it is interrupted."""
    asyncio.run(
        run(
            port=port,
            state_dir=state_dir,
            clock=FileClock(clock_file) if clock_file is not None else SystemClock(),
            workspace=read_workspace(workspace) if workspace is not None else None,
            settings=SandboxSettings(
                events_url=events_url,
                ack_timeout_s=deadline_s,
                trigger_life_s=deadline_s,
                enforce_tiers=enforce_tiers,
            ),
            ready=_announce,
        )
    )


def _announce(running: RunningSandbox) -> None:
    space = running.workspace
    print(
        f"Sandbox workspace: {running.url}\n"
        f"  SLACK_API_URL={running.api_url}\n"
        f"  SLACK_BOT_TOKEN={space.bot_token}\n"
        f"  SLACK_APP_TOKEN={space.app_token}\n"
        f"  SLACK_SIGNING_SECRET={space.signing_secret}",
        file=sys.stderr,
        flush=True,
    )
