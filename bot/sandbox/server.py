"""Serves a sandbox on 127.0.0.1."""

import asyncio
import errno
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.sandbox import page
from bot.sandbox.actor_api import ActorApi
from bot.sandbox.agent_api import AgentApi
from bot.sandbox.core import Sandbox
from bot.sandbox.faults_api import FaultsApi
from bot.sandbox.install_page import InstallPage
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.web_api.dispatch import WebApi
from bot.sandbox.workspace import Workspace, default_workspace
from bot.sandbox.workspace_api import WorkspaceApi
from feedback.clock import Clock, SystemClock
from feedback.errors import ConfigurationError

HOST = "127.0.0.1"
_LOCAL_HOSTS = {"127.0.0.1", "localhost"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A sandbox that accepts connections.

    Attributes:
        url: The page, without a trailing slash.
        api_url: What slack_sdk takes as `base_url`.
    """

    sandbox: Sandbox
    url: str

    @property
    def api_url(self) -> str:
        """The Web API's base URL for slack_sdk."""
        return f"{self.url}/api/"

    @property
    def workspace(self) -> Workspace:
        """Identity and tokens of the app."""
        return self.sandbox.state.workspace


def create_app(sandbox: Sandbox) -> web.Application:
    """Returns the aiohttp application of a sandbox."""
    app = web.Application(middlewares=[guard], client_max_size=4 * 1024**2)
    api = WebApi(sandbox)
    actors = ActorApi(sandbox)
    app.add_routes([
        web.route("*", "/api/{method}", api.handle),
        web.get("/link", sandbox.socket_mode.handle),
        web.post("/response/{key}", _response_handler(sandbox)),
        web.get("/healthz", _healthz),
        *actors.routes(),
        *AgentApi(sandbox, actors).routes(),
        *WorkspaceApi(sandbox, actors).routes(),
        *InstallPage(sandbox).routes(),
        *FaultsApi(sandbox, actors).routes(),
        *page.routes(),
    ])  # fmt: skip

    async def start(_: web.Application) -> None:
        sandbox.delivery.start()

    async def stop(_: web.Application) -> None:
        sandbox.feed.release()
        await sandbox.socket_mode.stop()

    async def close(_: web.Application) -> None:
        await sandbox.close()

    app.on_startup.append(start)
    app.on_shutdown.append(stop)
    app.on_cleanup.append(close)
    return app


@asynccontextmanager
async def serve(
    *,
    port: int = 0,
    state_dir: Path | None = None,
    clock: Clock | None = None,
    workspace: Workspace | None = None,
    settings: SandboxSettings | None = None,
) -> AsyncIterator[RunningSandbox]:
    """Serves a sandbox within this event loop until the context ends.

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        state_dir: Where the state lives; None keeps it in memory.
        clock: Time of messages and events; real time by default.
        workspace: The seed, used when the state is new.
        settings: Delays and delivery.

    Raises:
        ConfigurationError: The port is taken or the state directory cannot be used.
    """
    sandbox = Sandbox(
        state_dir=state_dir,
        clock=clock or SystemClock(),
        workspace=workspace or default_workspace(),
        settings=settings or SandboxSettings(),
    )
    runner = web.AppRunner(create_app(sandbox), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            raise ConfigurationError(
                f"port {port} on {HOST} is in use; stop what listens there or choose another "
                "with --port"
            ) from exc
        bound = runner.addresses[0][1]
        sandbox.interactivity.base_url = f"http://{HOST}:{bound}"
        yield RunningSandbox(sandbox=sandbox, url=f"http://{HOST}:{bound}")
    finally:
        await runner.cleanup()


async def run(
    *,
    port: int,
    state_dir: Path | None,
    clock: Clock,
    workspace: Workspace | None = None,
    settings: SandboxSettings | None = None,
    ready: Callable[[RunningSandbox], None] | None = None,
) -> None:
    """Serves a sandbox until SIGINT or SIGTERM; `ready` is called once it accepts connections."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with serve(
        port=port, state_dir=state_dir, clock=clock, workspace=workspace, settings=settings
    ) as running:
        if ready is not None:
            ready(running)
        await stopping.wait()


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keeps other web sites out: the Host must be this machine, and so must the Origin."""
    host = request.host.rpartition(":")[0] or request.host
    if host not in _LOCAL_HOSTS:
        return web.json_response({"ok": False, "error": "wrong_host"}, status=403)
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        return web.json_response({"ok": False, "error": "wrong_origin"}, status=403)
    return await handler(request)


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"ok": True})


def _response_handler(sandbox: Sandbox) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body: Any = json.loads(await request.text())
        except ValueError:
            return web.Response(text="invalid_payload", status=400)
        if not isinstance(body, dict):
            return web.Response(text="invalid_payload", status=400)
        problem = sandbox.interactivity.respond(request.match_info["key"], body)
        sandbox.commit()
        if problem is not None:
            return web.Response(text=problem, status=404)
        return web.Response(text="ok")

    return handle
