"""Model servers follow the deployment rows: what is desired gets started, what drains is stopped.

The retraining side writes which adapters a server must hold; this side only starts and stops
processes. The two meet in the `deployments` table, so either may be killed at any moment.
"""

import asyncio
import logging

import httpx

from deploy.stack.processes import ManagedProcess, ProcessSpec, Supervisor, understudy
from feedback.clock import Clock
from feedback.domain.learning import Deployment, DeploymentState
from feedback.errors import RetryableError
from feedback.settings import PACKAGED_BASE, Settings
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)


class ModelFleet:
    """Reconciles deployment rows with `understudy model-server` processes on two ports."""

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        settings: Settings,
        clock: Clock,
        environment: dict[str, str],
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._settings = settings
        self._clock = clock
        self._environment = environment
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins reconciling in the background."""
        self._task = asyncio.create_task(self._run(), name="model-fleet")

    async def close(self) -> None:
        """Stops reconciling; the supervisor stops the processes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=2.0) as client:
            while True:
                # Whatever fails at one look is no reason to stop looking after servers.
                try:
                    await self.reconcile(client)
                except RetryableError as exc:
                    _log.warning("cannot look after the model servers now: %s", exc)
                except Exception:
                    _log.exception("looking after the model servers failed")
                await asyncio.sleep(0.3)

    async def reconcile(self, client: httpx.AsyncClient) -> None:
        """One look: starts, checks and stops whatever the rows ask for."""
        async with self._store.begin() as tx:
            rows = await tx.deployments.in_states(
                DeploymentState.DESIRED,
                DeploymentState.READY,
                DeploymentState.ACTIVE,
                DeploymentState.DRAINING,
            )
        await self._stop_unwanted({_name(row) for row in rows})
        for row in rows:
            if row.url is not None and row.pid is None:
                continue  # somebody else runs that one
            if row.state is DeploymentState.DRAINING:
                await self._drain(row)
            else:
                await self._keep(row, rows, client)

    async def _stop_unwanted(self, wanted: set[str]) -> None:
        """A server that was not proven gets no traffic and must not hold its port."""
        for name in self._supervisor.names():
            if name.startswith(_PREFIX) and name not in wanted:
                await self._supervisor.stop(name, grace_s=30.0)

    async def _keep(
        self, row: Deployment, rows: list[Deployment], client: httpx.AsyncClient
    ) -> None:
        process = self._supervisor.get(_name(row))
        if process is None:
            process = self._supervisor.start(self._spec(row, self._port(row, rows)))
        if row.state is not DeploymentState.DESIRED:
            return
        url = f"http://127.0.0.1:{_port_of(process)}"
        if self._supervisor.gave_up(_name(row)):
            await self._fail(row, process)
        elif await is_healthy(client, url):
            async with self._store.begin() as tx:
                await tx.deployments.update(
                    row.id,
                    self._clock.now(),
                    state=DeploymentState.READY,
                    url=url,
                    pid=process.pid,
                )

    async def _fail(self, row: Deployment, process: ManagedProcess) -> None:
        async with self._store.begin() as tx:
            await tx.deployments.update(
                row.id, self._clock.now(), state=DeploymentState.FAILED, error=process.tail(3)
            )
        await self._supervisor.stop(_name(row))

    async def _drain(self, row: Deployment) -> None:
        # The server finishes what it is generating before it exits.
        await self._supervisor.stop(_name(row), grace_s=30.0)
        async with self._store.begin() as tx:
            await tx.deployments.update(row.id, self._clock.now(), state=DeploymentState.STOPPED)

    def _port(self, row: Deployment, rows: list[Deployment]) -> int:
        if row.url is not None:
            return int(row.url.rsplit(":", 1)[1])
        taken = {
            int(other.url.rsplit(":", 1)[1]) for other in rows if other.url and other.id != row.id
        }
        taken |= {
            _port_of(process)
            for name in self._supervisor.names()
            if name.startswith(_PREFIX) and (process := self._supervisor.get(name)) is not None
        }
        free = [port for port in self._settings.stack.model_ports if port not in taken]
        return free[0] if free else self._settings.stack.model_ports[0]

    def _spec(self, row: Deployment, port: int) -> ProcessSpec:
        adapters = ",".join(f"{adapter.name}={adapter.path}" for adapter in row.adapters)
        # The packaged base is the server's own default; anything else is a folder.
        model = [] if row.base_model == PACKAGED_BASE else ["--model", row.base_model]
        return ProcessSpec(
            name=_name(row),
            command=understudy("model-server", *model, "--port", str(port), "--strict-adapters"),
            environment={**self._environment, "LORA_ADAPTERS": adapters},
            log=self._settings.state_dir / "logs" / f"{_name(row)}.log",
        )


_PREFIX = "model-server-"


def _name(row: Deployment) -> str:
    return f"{_PREFIX}{row.id}"


def _port_of(process: ManagedProcess) -> int:
    command = list(process.spec.command)
    return int(command[command.index("--port") + 1])


async def is_healthy(client: httpx.AsyncClient, url: str) -> bool:
    """Returns whether a model server answers that it is ready."""
    try:
        return (await client.get(f"{url}/health")).status_code == 200
    except httpx.HTTPError:
        return False
