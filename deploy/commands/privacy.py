"""`understudy privacy`: what people may ask about their own data."""

import asyncio
import json
from typing import Annotated

import typer

from deploy.wiring import make_clock, open_store
from feedback.domain.forgetting import ForgetReport
from feedback.forgetting import forget as forget_person
from feedback.settings import Settings, load_settings

app = typer.Typer(help="What people may ask about their own data.", no_args_is_help=True)


@app.callback()
def privacy() -> None:
    """What people may ask about their own data."""


@app.command("forget")
def forget(
    team: Annotated[str, typer.Option(help="Workspace id, T...; `import` for transcripts only.")],
    user: Annotated[str, typer.Option(help="Slack user id, U...")],
    by: Annotated[str, typer.Option(help="Who asks; goes into the audit trail.")] = "operator",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
) -> None:
    """Erase what is stored about a person, and name the data sets that still hold it.

    Questions, answers, corrections, comments and names go at once and cannot be brought back. Files
    of data sets, and adapters trained on them, are listed as JSON: they are yours to remove.
    """
    if not yes:
        typer.confirm(f"Erase everything that {user} of {team} wrote, for good?", abort=True)
    report = asyncio.run(_forget(load_settings(), team=team, user=user, by=by))
    print(json.dumps(report.to_row(), indent=2))


async def _forget(settings: Settings, *, team: str, user: str, by: str) -> ForgetReport:
    async with open_store(settings) as store, store.begin() as tx:
        return await forget_person(tx, team=team, user=user, by=by, at=make_clock(settings).now())
