"""Everything on one machine: database, workspace, model server, bot, scheduler and web.

The database is embedded unless DATABASE_URL is set. Every other part is a process of its own under
one supervisor, so that any of them can be killed and comes back; what they share is the database.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.platforms import fleet_of
from deploy.stack.launching import clear_places, look_after, process_platform
from deploy.stack.processes import ProcessSpec, Supervisor, understudy
from deploy.wiring import make_clock, open_store
from feedback.clock import Clock
from feedback.domain.learning import DeploymentState
from feedback.errors import ConfigurationError, TimedOutError
from feedback.settings import Settings, child_environment
from feedback.store.unit_of_work import Store
from retrain.platforms.bluegreen import is_healthy

SANDBOX_BOT_TOKEN = "xoxb-sandbox-understudy"  # noqa: S105  (opens nothing but 127.0.0.1)
SANDBOX_APP_TOKEN = "xapp-sandbox-understudy"  # noqa: S105  (opens nothing but 127.0.0.1)
SANDBOX_REVIEW_CHANNEL = "C0REVIEW04"
SANDBOX_OPERATORS_CHANNEL = "C0OPERATE5"


@dataclass(frozen=True, kw_only=True)
class LocalStack:
    """A running stack.

    Attributes:
        sandbox_url: The sandbox workspace's page; None in a real workspace.
    """

    settings: Settings
    store: Store
    clock: Clock
    supervisor: Supervisor
    sandbox_url: str | None
    web_url: str
    database_url: str

    async def model_url(self, timeout_s: float = 180.0) -> str:
        """Returns the active model server's URL, once it is proven and answers.

        Raises:
            TimedOutError: When there is none in time.
            ConfigurationError: When a process keeps dying.
        """
        async with httpx.AsyncClient(timeout=2.0) as client:
            for _ in range(int(timeout_s / 0.3)):
                self.supervisor.require_alive()
                async with self.store.begin() as tx:
                    active = await tx.deployments.active()
                    failed = await tx.deployments.in_states(DeploymentState.FAILED)
                # When the stack was started again, the proven server has to come up first.
                if active is not None and active.url is not None:
                    if await is_healthy(client, active.url):
                        return active.url
                elif failed:
                    raise ConfigurationError(f"the model server cannot start: {failed[-1].error}")
                await asyncio.sleep(0.3)
        raise TimedOutError(
            f"no model server became active in {timeout_s:.0f} s; see "
            f"{self.settings.state_dir / 'logs'}"
        )


@asynccontextmanager
async def local_stack(
    settings: Settings,
    *,
    overrides: Mapping[str, str] | None = None,
    workspace_file: Path | None = None,
) -> AsyncIterator[LocalStack]:
    """Starts the stack and stops it in reverse order.

    Args:
        settings: Of this process.
        overrides: Further environment of the processes, by variable name.
        workspace_file: Seed of the sandbox workspace; its default people when None.

    Raises:
        ConfigurationError: When a port is taken or a part cannot start.
    """
    sandboxed = settings.slack.bot_token is None and not settings.slack.client_id
    clear_places(settings.state_dir, settings.stack.model_ports)
    _require_free_ports(settings, sandboxed=sandboxed)
    clock = make_clock(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        database_url = store.engine.url.render_as_string(hide_password=False)
        sandbox_url = f"http://127.0.0.1:{settings.stack.sandbox_port}" if sandboxed else None
        environment = child_environment(
            settings,
            DATABASE_URL=database_url,
            PYTHONUNBUFFERED="1",
            HF_HUB_OFFLINE="1",
            TOKENIZERS_PARALLELISM="false",
            **(_sandbox_environment(sandbox_url) if sandbox_url else {}),
            # Weeks are played in hours; Slack's tiers know real time only and would stretch them.
            **({"UNDERSTUDY_SLACK__RATE_SHARE": "0"} if sandboxed and settings.clock_file else {}),
            **(overrides or {}),
        )
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        if sandbox_url is not None:
            arguments = ["--port", str(settings.stack.sandbox_port)]
            arguments += ["--state-dir", str(settings.state_dir / "sandbox")]
            # Slack gives three seconds; a laptop that trains beside it may need more.
            arguments += ["--deadline-s", "15"]
            if settings.clock_file is not None:
                arguments += ["--no-enforce-tiers"]
                arguments += ["--clock-file", str(settings.clock_file)]
            if workspace_file is not None:
                arguments += ["--workspace", str(workspace_file)]
            supervisor.start(_spec(settings, "sandbox", arguments, environment))
            await _until_ready(f"{sandbox_url}/healthz", supervisor)
        if _runs_model_servers(settings):
            await stack.enter_async_context(
                _model_servers(settings, store, clock, supervisor, environment)
            )
        for name in ("scheduler", "bot", "web"):
            supervisor.start(_spec(settings, name, [], environment))
        web_url = f"http://{settings.web.host}:{settings.web.port}"
        yield LocalStack(
            settings=settings,
            store=store,
            clock=clock,
            supervisor=supervisor,
            sandbox_url=sandbox_url,
            web_url=web_url,
            database_url=database_url,
        )


@asynccontextmanager
async def _model_servers(
    settings: Settings,
    store: Store,
    clock: Clock,
    supervisor: Supervisor,
    environment: Mapping[str, str],
) -> AsyncIterator[None]:
    """Looks after model servers under the stack's own supervisor, which ends them at last."""
    platform = process_platform(supervisor, settings, environment)
    looking = asyncio.create_task(
        look_after(fleet_of(settings, store, clock, platform)), name="model-fleet"
    )
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await platform.close()


def _runs_model_servers(settings: Settings) -> bool:
    """Whether they are children of this stack; else the scheduler looks after them, or nobody."""
    return settings.publish.platform == "process" and not settings.model.url


def _sandbox_environment(url: str) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": SANDBOX_BOT_TOKEN,
        "SLACK_APP_TOKEN": SANDBOX_APP_TOKEN,
        "UNDERSTUDY_SLACK__API_URL": f"{url}/api/",
        "UNDERSTUDY_SLACK__REVIEW_CHANNEL": SANDBOX_REVIEW_CHANNEL,
        "UNDERSTUDY_SLACK__OPERATORS_CHANNEL": SANDBOX_OPERATORS_CHANNEL,
        "UNDERSTUDY_SLACK__REVIEWERS_GROUP": "reviewers",
        "UNDERSTUDY_SLACK__ADMINS_GROUP": "operators",
        "UNDERSTUDY_SLACK__HANDOFF_GROUP": "support-oncall",
    }


def _spec(
    settings: Settings, name: str, arguments: list[str], environment: Mapping[str, str]
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        command=understudy(name, *arguments),
        environment=environment,
        log=settings.state_dir / "logs" / f"{name}.log",
    )


async def _until_ready(url: str, supervisor: Supervisor, timeout_s: float = 60.0) -> None:
    async with httpx.AsyncClient(timeout=2.0) as client:
        for _ in range(int(timeout_s / 0.2)):
            supervisor.require_alive()
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)
    raise TimedOutError(f"{url} did not answer in {timeout_s:.0f} s")


def _require_free_ports(settings: Settings, *, sandboxed: bool) -> None:
    """Refuses to start half a stack.

    Raises:
        ConfigurationError: Naming every port that is taken and the variable that moves it.
    """
    wanted = {"UNDERSTUDY_WEB__PORT": settings.web.port}
    if _runs_model_servers(settings):
        wanted["UNDERSTUDY_STACK__MODEL_PORTS"] = settings.stack.model_ports[0]
    if sandboxed:
        wanted["UNDERSTUDY_STACK__SANDBOX_PORT"] = settings.stack.sandbox_port
    problems = [
        f"port {port} is in use; stop what listens there or set {name}"
        for name, port in wanted.items()
        if not _is_free(port)
    ]
    if problems:
        raise ConfigurationError(*problems)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
