"""`understudy slack`: the workspaces that the bot is installed in."""

import asyncio
import json
from typing import Annotated

import typer

from bot.slack.installs.cipher import TokenCipher, new_key
from deploy.wiring import make_clock, open_store
from feedback.domain.forgetting import ForgetReport
from feedback.domain.workspace import WorkspaceRecord
from feedback.settings import Settings, load_settings
from feedback.uninstalling import erase_workspace

app = typer.Typer(help="The workspaces that the bot is installed in.", no_args_is_help=True)


@app.command("workspaces")
def workspaces() -> None:
    """List every workspace the bot was ever installed in, as JSON lines."""
    for record in asyncio.run(_workspaces(load_settings())):
        print(
            json.dumps(
                {
                    "team": record.team,
                    "name": record.name,
                    "state": record.state.value,
                    "reason": record.reason,
                    "review_channel": record.review_channel,
                    "installed_at": record.installed_at.isoformat(),
                }
            )
        )


async def _workspaces(settings: Settings) -> list[WorkspaceRecord]:
    async with open_store(settings) as store, store.begin() as tx:
        return await tx.workspaces.all()


@app.command("review-channel")
def review_channel(
    team: Annotated[str, typer.Argument(help="Workspace id, T...")],
    channel: Annotated[str, typer.Argument(help="Channel id, C...; empty for none.")],
) -> None:
    """Say where the review cards of a workspace go.

    With SLACK_BOT_TOKEN, UNDERSTUDY_SLACK__REVIEW_CHANNEL says it and wins at the next start.
    """
    asyncio.run(_review_channel(load_settings(), team, channel))
    print(f"review cards of {team} go to {channel or 'no channel'} within a minute")


async def _review_channel(settings: Settings, team: str, channel: str) -> None:
    async with open_store(settings) as store, store.begin() as tx:
        await tx.workspaces.review_in(team, channel, at=make_clock(settings).now())


@app.command("erase")
def erase(
    team: Annotated[str, typer.Argument(help="Workspace id, T...")],
    by: Annotated[str, typer.Option(help="Who asks; goes into the audit trail.")] = "operator",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
) -> None:
    """Erase what is stored about a workspace, as its uninstalling does.

    For workspaces that were uninstalled while no bot could hear of it. Data sets and adapters that
    still hold something are listed as JSON: they are yours to remove.
    """
    if not yes:
        typer.confirm(f"Erase everything of {team}, for good?", abort=True)
    report = asyncio.run(_erase(load_settings(), team, by))
    print(json.dumps(report.to_row(), indent=2))


async def _erase(settings: Settings, team: str, by: str) -> ForgetReport:
    async with open_store(settings) as store, store.begin() as tx:
        return await erase_workspace(
            tx, team=team, by=by, reason="asked by an operator", at=make_clock(settings).now()
        )


@app.command("new-key")
def new_key_command() -> None:
    """Print a fresh key for UNDERSTUDY_SLACK__ENCRYPTION_KEYS."""
    print(new_key())


@app.command("rotate-keys")
def rotate_keys() -> None:
    """Encrypt every stored token anew with the first of UNDERSTUDY_SLACK__ENCRYPTION_KEYS.

    Put the new key first and keep the old one behind it; restart the bots; run this; then the old
    key can go.
    """
    settings = load_settings()
    cipher = TokenCipher(settings.slack.encryption_keys)
    print(asyncio.run(_rotate(settings, cipher)), "tokens encrypted with the first key")


async def _rotate(settings: Settings, cipher: TokenCipher) -> int:
    async with open_store(settings) as store, store.begin() as tx:
        return await tx.workspaces.rewrite_tokens(cipher.reseal)
