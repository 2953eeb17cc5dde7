"""`understudy bot`: Slack listeners and answer workers in one process."""

import asyncio
import logging
import signal
import sys
from typing import Annotated

import typer

from bot.configuring import require_consistent
from bot.guarding import StyleGuard
from bot.model_clients import ModelClients
from bot.retrieval import StoredKnowledge
from bot.runtime import Outside, Running, run
from deploy.wiring import make_clock, open_store, style_dir
from feedback.settings import Settings, load_settings
from feedback.tone.guide import StyleGuide


def bot(
    http: Annotated[
        bool,
        typer.Option("--http", help="Signed HTTP at UNDERSTUDY_SLACK__HTTP_PORT, no Socket Mode."),
    ] = False,
) -> None:
    """Answer in Slack, over Socket Mode or signed HTTP, until it is interrupted."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for chatty in ("httpx", "httpx2", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Bolt reads SLACK_BOT_TOKEN by itself and then complains that it has a client already.
    logging.getLogger("bot.slack.bolt").addFilter(
        lambda record: "`token` will be unused" not in record.getMessage()
    )
    settings = load_settings()
    if http:
        slack = settings.slack.model_copy(update={"transport": "http"})
        settings = settings.model_copy(update={"slack": slack})
    require_consistent(settings.slack)
    asyncio.run(_bot(settings))


async def _bot(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    guide = StyleGuide.load(style_dir(settings))
    model, clock = settings.model, make_clock(settings)
    clients = ModelClients(
        api_key=model.api_key.get_secret_value(),
        embed_api_key=model.embed_api_key.get_secret_value(),
        embed_url=model.embed_url,
    )
    try:
        async with open_store(settings) as store:
            outside = Outside(
                store=store,
                clock=clock,
                knowledge=StoredKnowledge(store, clients, clock),
                generators=clients,
                guard=StyleGuard(guide),
            )
            await run(settings, outside, stop, ready=_announce)
    finally:
        await clients.aclose()


def _announce(live: Running) -> None:
    home = live.bot.home
    who = f"bot {home.user_id} answers in {home.team}" if home else "installations by OAuth"
    where = f", http port {live.http_port}" if live.http_port is not None else ""
    print(f"{who}{where}", file=sys.stderr, flush=True)
