"""`understudy review`: imported candidates for a team's reviewers, and how far reviewers agree."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from bot.correcting import REVIEWER_AUTHORED, owe_card
from deploy.wiring import make_clock, open_store
from feedback.domain.reviewing import Agreement, agreement
from feedback.settings import Settings, load_settings

app = typer.Typer(help="Candidates for reviewers, and their agreement.", no_args_is_help=True)


@app.callback()
def review() -> None:
    """Candidates for reviewers, and their agreement."""


@app.command("adopt")
def adopt(
    team: Annotated[str, typer.Option(help="Workspace id, T..., whose reviewers decide.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the oldest first.")] = 50,
    by: Annotated[str, typer.Option(help="Who asks; goes into the audit trail.")] = "operator",
    rights: Annotated[
        Literal["as-imported", "ours"],
        typer.Option(
            help="`ours`: you have the right to train on these texts, so that approved ones do; "
            "`as-imported`: they train only in the consent mode `all`."
        ),
    ] = "as-imported",
) -> None:
    """Move imported candidates into a team's review queue; the bot posts their cards."""
    counts = asyncio.run(
        _adopt(load_settings(), team=team, limit=limit, by=by, ours=rights == "ours")
    )
    print(json.dumps(counts))


@app.command("agreement")
def agreement_(
    team: Annotated[str, typer.Option(help="Workspace id, T...")],
) -> None:
    """Say how far two independent reviewers agree: pairs, equal ones, Cohen's kappa."""
    print(json.dumps(asdict(asyncio.run(_agreement(load_settings(), team)))))


async def _adopt(
    settings: Settings, *, team: str, limit: int, by: str, ours: bool
) -> Mapping[str, int]:
    async with open_store(settings) as store, store.begin() as tx:
        adopted = await tx.reviewing.adopt(
            team, limit=limit, consent=REVIEWER_AUTHORED if ours else None
        )
        for correction in adopted:
            await owe_card(tx, correction)
        if adopted:
            await tx.audit.append(
                subject=f"imported:{team}",
                from_state="imported",
                to_state="proposed",
                actor=by,
                reason="vouches for the right to train" if ours else "adopted for review",
                at=make_clock(settings).now(),
                data={"corrections": [correction.id for correction in adopted]},
            )
        return {"adopted": len(adopted), "left": await tx.reviewing.imported()}


async def _agreement(settings: Settings, team: str) -> Agreement:
    async with open_store(settings) as store, store.begin() as tx:
        return agreement(await tx.reviewing.pairs(team))
