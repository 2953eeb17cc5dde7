"""`understudy up`: the whole stack on this machine, to play with by hand."""

import asyncio
import signal
import sys
from typing import Annotated

import typer

from bot.model_clients import ModelClients
from deploy.stack.documents import sync_documents
from deploy.stack.local import LocalStack, local_stack
from feedback.clock import SystemClock
from feedback.samples import load_company
from feedback.settings import Settings, load_settings


def up(
    documents: Annotated[
        str | None,
        typer.Option(help="Folder or JSONL to answer from; the sample company's by default."),
    ] = None,
) -> None:
    """Start database, model server, bot, scheduler, web page, and a sandbox workspace.

    With SLACK_BOT_TOKEN set the bot joins that workspace instead; with SLACK_CLIENT_ID, those that
    install it by OAuth.
    """
    asyncio.run(_run(load_settings(), documents))


async def _run(settings: Settings, documents: str | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    print("starting (the model server takes some seconds) ...", file=sys.stderr)
    async with local_stack(settings) as stack:
        clients = ModelClients(
            api_key=settings.model.api_key.get_secret_value(),
            embed_api_key=settings.model.embed_api_key.get_secret_value(),
            embed_url=settings.model.embed_url,
        )
        embedder = clients.embedder(await stack.model_url(settings.publish.start_timeout_s))
        source = documents or str(load_company().documents_path)
        chunks = await sync_documents(stack.store, embedder, SystemClock(), source)
        await clients.aclose()
        _announce(stack, settings, source, chunks)
        await _until(stopped, stack)
    print("stopped", file=sys.stderr)


def _announce(stack: LocalStack, settings: Settings, source: str, chunks: int) -> None:
    print(f"documents:  {source} ({chunks} chunks embedded now)")
    if stack.sandbox_url is not None:
        print(f"workspace:  {stack.sandbox_url}   ask @Understudy in #support, or in a DM")
    elif settings.slack.client_id:
        slack = settings.slack
        print(f"workspaces: install at http://{slack.http_host}:{slack.http_port}/slack/install")
    else:
        print("workspace:  the one of SLACK_BOT_TOKEN")
    print(f"dashboard:  {stack.web_url}")
    print(f"state:      {settings.state_dir}   logs in {settings.state_dir / 'logs'}")
    print("Ctrl-C stops everything; the state stays.", flush=True)


async def _until(stopped: asyncio.Event, stack: LocalStack) -> None:
    """Waits for the signal, and gives up loudly when a part cannot live."""
    while not stopped.is_set():
        stack.supervisor.require_alive()
        try:
            await asyncio.wait_for(stopped.wait(), 1.0)
        except TimeoutError:
            continue
