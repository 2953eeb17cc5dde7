"""Model servers as child processes: `understudy model-server`, or a launcher by setting."""

import asyncio
import logging
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from deploy.stack.leftovers import VARIABLE, end_leftovers, mark
from deploy.stack.processes import ProcessSpec, Supervisor, understudy
from feedback.domain.learning import Deployment
from feedback.errors import RetryableError
from feedback.settings import PACKAGED_BASE, Settings
from retrain.platforms.bluegreen import BlueGreen, Place
from retrain.platforms.fleet import Fleet
from retrain.platforms.port import lora_adapters
from retrain.platforms.volume import AdapterVolume

_log = logging.getLogger(__name__)
_LOOK_S = 0.3
_TGI_MASTER_PORT, _TGI_PROMETHEUS_PORT = 29500, 9000


class ProcessLauncher:
    """Starts and stops model servers under a supervisor. Implements bluegreen.Launcher.

    A server that dies is started again by the supervisor. When the supervisor itself is killed,
    its children get SIGTERM from the kernel, and whatever is left of them is killed before the next
    start at their place.
    """

    def __init__(
        self, supervisor: Supervisor, settings: Settings, environment: Mapping[str, str]
    ) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._environment = environment
        self._ports: dict[int, tuple[int, str]] = {}
        self._stopping: dict[int, asyncio.Task[None]] = {}

    async def places(self) -> Sequence[Place]:
        """Returns the servers of this supervisor, those that are ending too."""
        return [self._place(port, *whose) for port, whose in self._ports.items()]

    async def start(self, deployment: Deployment, port: int) -> None:
        """Starts a server under the supervisor."""
        name = f"model-server-{deployment.id}"
        self._ports[port] = (deployment.id, name)
        self._supervisor.start(
            ProcessSpec(
                name=name,
                command=self._command(deployment, port),
                environment=self._variables(deployment, port),
                log=self._settings.state_dir / "logs" / f"{name}.log",
                before_start=partial(end_leftovers, self._settings.state_dir, port),
            )
        )

    async def stop(self, place: Place) -> None:
        """Sends SIGTERM, in the background; the place is free when nothing of it is left."""
        self._stopping[place.port] = asyncio.create_task(self._end(place.port))

    async def close(self) -> None:
        """Leaves everything to the supervisor."""
        for task in self._stopping.values():
            task.cancel()
        await asyncio.gather(*self._stopping.values(), return_exceptions=True)

    async def _end(self, port: int) -> None:
        _, name = self._ports[port]
        await self._supervisor.stop(name, grace_s=self._settings.publish.drain_s)
        await asyncio.to_thread(end_leftovers, self._settings.state_dir, port)
        del self._ports[port], self._stopping[port]

    def _place(self, port: int, deployment_id: int, name: str) -> Place:
        process = self._supervisor.get(name)
        failed = process.tail(3) if process and self._supervisor.gave_up(name) else None
        return Place(
            port=port,
            deployment_id=deployment_id,
            name=f"{process.pid}-{process.start_id}" if process else "",
            pid=process.pid if process else None,
            leaving=port in self._stopping,
            failed=failed,
        )

    def _command(self, deployment: Deployment, port: int) -> Sequence[str]:
        if self._settings.publish.launcher:
            words = shlex.split(self._settings.publish.launcher)
            return [word.replace("{port}", str(port)) for word in words]
        # The packaged base is the server's own default; anything else is a folder.
        base = deployment.base_model
        model = [] if base == PACKAGED_BASE else ["--model", base]
        where = ["--host", self._settings.publish.host, "--port", str(port)]
        return understudy("model-server", *model, *where, "--strict-adapters")

    def _variables(self, deployment: Deployment, port: int) -> Mapping[str, str]:
        # A variable of the operator's own shell must not name other adapters.
        variables = {k: v for k, v in self._environment.items() if k != "LORA_ADAPTERS"}
        variables |= {"PORT": str(port), VARIABLE: mark(self._settings.state_dir, port)}
        if deployment.adapters:
            variables["LORA_ADAPTERS"] = lora_adapters(deployment.adapters)
        if self._settings.publish.launcher:
            # Two launchers of TGI on one host would else meet at these.
            place = self._settings.stack.model_ports.index(port)
            variables |= {
                "MASTER_PORT": str(_TGI_MASTER_PORT + place),
                "PROMETHEUS_PORT": str(_TGI_PROMETHEUS_PORT + place),
                "SHARD_UDS_PATH": f"/tmp/understudy-{port}",  # noqa: S108  (as TGI's default)
            }
        return variables


def process_platform(
    supervisor: Supervisor, settings: Settings, environment: Mapping[str, str]
) -> BlueGreen:
    """Returns the platform of processes on this machine."""
    return BlueGreen(
        ProcessLauncher(supervisor, settings, environment),
        ports=settings.stack.model_ports,
        host=settings.publish.host,
        volume=AdapterVolume(settings.publish.volume, settings.publish.mount),
    )


async def look_after(fleet: Fleet) -> None:
    """Looks again and again; whatever fails at one look is no reason to stop looking."""
    while True:
        try:
            await fleet.look()
        except RetryableError as exc:
            _log.warning("cannot look after the model servers now: %s", exc)
        except Exception:
            _log.exception("looking after the model servers failed")
        await asyncio.sleep(_LOOK_S)


def clear_places(state_dir: Path, ports: Sequence[int]) -> None:
    """Ends servers whose supervisor was killed, so that their ports are free."""
    for port in ports:
        end_leftovers(state_dir, port)
