"""Servers as services of `docker compose`: TGI's official image on one host with GPUs."""

import asyncio
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedback.domain.learning import Deployment
from feedback.errors import ConfigurationError, UnavailableError
from retrain.platforms.bluegreen import Place
from retrain.platforms.port import lora_adapters

_log = logging.getLogger(__name__)
SERVICES = ("tgi-blue", "tgi-green")
DEPLOYMENT_LABEL = "understudy.deployment"
_SERVICE_LABEL = "com.docker.compose.service"
_VANISHED = "No such object"
"""`docker inspect` still prints what it found when a container was removed meanwhile."""
_TAIL = 3
"""Lines of a dead container's log that are shown."""


class ComposeLauncher:
    """Starts and stops the services of a compose file. Implements bluegreen.Launcher.

    Everything is asked of Docker: a new process of ours finds what the one before started.

    Args:
        file: Holds the services `tgi-blue` and `tgi-green`.
        ports: Under which the two are published on this host.
        environment: Of the docker commands.
        drain_s: Seconds that a stopped server gets to finish its answers.
        docker: The command.
    """

    def __init__(
        self,
        file: Path,
        *,
        ports: Sequence[int],
        environment: Mapping[str, str],
        drain_s: float,
        docker: str = "docker",
    ) -> None:
        self._compose = (docker, "compose", "--file", str(file))
        self._docker = docker
        self._services = dict(zip(ports, SERVICES, strict=True))
        self._environment = environment
        self._drain_s = drain_s
        self._stopping: dict[int, asyncio.Task[None]] = {}

    async def places(self) -> Sequence[Place]:
        """Returns the containers of both services."""
        for port, task in list(self._stopping.items()):
            if task.done():
                del self._stopping[port]
                if (exc := task.exception()) is not None:
                    _log.warning("%s was not stopped: %s", self._services[port], exc)
        listed = (await self._run(*self._compose, "ps", "--all", "--quiet")).split()
        if not listed:
            return []
        found = json.loads(await self._run(self._docker, "inspect", *listed, unless=_VANISHED))
        ports = {service: port for port, service in self._services.items()}
        return [
            await self._place(container, ports[_label(container, _SERVICE_LABEL)])
            for container in found
            if _label(container, _SERVICE_LABEL) in ports
        ]

    async def start(self, deployment: Deployment, port: int) -> None:
        """Starts a service with the adapters of a deployment.

        Raises:
            ConfigurationError: Docker refuses.
        """
        variables = {"UNDERSTUDY_DEPLOYMENT": str(deployment.id)}
        if deployment.adapters:
            variables["LORA_ADAPTERS"] = lora_adapters(deployment.adapters)
        await self._run(
            *self._compose,
            *("up", "--detach", "--no-deps", "--force-recreate", self._services[port]),
            variables=variables,
        )

    async def stop(self, place: Place) -> None:
        """Stops a service and removes its container, in the background."""
        self._stopping[place.port] = asyncio.create_task(self._end(self._services[place.port]))

    async def close(self) -> None:
        """Waits for what is being stopped."""
        await asyncio.gather(*self._stopping.values(), return_exceptions=True)

    async def _end(self, service: str) -> None:
        await self._run(*self._compose, "stop", "--timeout", f"{self._drain_s:.0f}", service)
        await self._run(*self._compose, "rm", "--force", service)

    async def _place(self, container: Mapping[str, Any], port: int) -> Place:
        state = container["State"]
        failed = None
        if state["Status"] in {"exited", "dead"} and port not in self._stopping:
            log = await self._run(self._docker, "logs", "--tail", str(_TAIL), container["Id"])
            failed = f"{self._services[port]} ended with status {state['ExitCode']}: {log.strip()}"
        return Place(
            port=port,
            deployment_id=int(_label(container, DEPLOYMENT_LABEL) or 0),
            name=f"{container['Id'][:12]}@{state['StartedAt']}",
            leaving=port in self._stopping,
            failed=failed,
        )

    async def _run(
        self, *command: str, variables: Mapping[str, str] | None = None, unless: str | None = None
    ) -> str:
        """Returns what a docker command printed.

        Args:
            *command: The words.
            variables: Beside the launcher's own environment.
            unless: Words on standard error that make a failure none.

        Raises:
            ConfigurationError: The command is missing or refuses.
            UnavailableError: The daemon does not answer.
        """
        environment = {**self._environment, **(variables or {})}
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as exc:
            raise ConfigurationError(
                f"cannot run {command[0]} ({os.strerror(exc.errno or 0)}); install Docker with its "
                "compose plugin on this host, or set UNDERSTUDY_PUBLISH__PLATFORM"
            ) from exc
        out, err = await process.communicate()
        said = err.decode(errors="replace").strip()
        if process.returncode == 0 or (unless is not None and unless in said):
            # `docker logs` prints a container's standard error on its own.
            return out.decode(errors="replace") or said
        if "daemon" in said:
            raise UnavailableError(f"Docker does not answer: {said.splitlines()[-1]}")
        raise ConfigurationError(f"`{' '.join(command[1:])}` failed: {said[-500:]}")


def _label(container: Mapping[str, Any], name: str) -> str:
    return str(container["Config"]["Labels"].get(name, ""))
