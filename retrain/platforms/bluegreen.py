"""Blue and green: two places, each for the server of one deployment, one of them in use."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from feedback.domain.learning import Deployment, Replica
from feedback.errors import AdapterNotServedError
from retrain.platforms.port import Observed
from retrain.platforms.volume import AdapterVolume


@dataclass(frozen=True, kw_only=True)
class Place:
    """A taken place.

    Attributes:
        deployment_id: Whose server it is.
        name: Of this start of the server.
        pid: Where it is a process of this machine.
        leaving: It was told to end.
        failed: Why it does not run any more and will not by itself.
    """

    port: int
    deployment_id: int
    name: str
    pid: int | None = None
    leaving: bool = False
    failed: str | None = None


class Launcher(Protocol):
    """Starts and stops single servers."""

    async def places(self) -> Sequence[Place]:
        """Returns what is taken; looks at what runs, not at what was asked for."""
        ...

    async def start(self, deployment: Deployment, port: int) -> None:
        """Starts a server; whatever an earlier life left at this place is ended first.

        Raises:
            ConfigurationError: It cannot be started.
        """
        ...

    async def stop(self, place: Place) -> None:
        """Tells a server to finish what it has in hand and end; does not wait for that."""
        ...

    async def close(self) -> None:
        """Frees what the launcher holds."""
        ...


class BlueGreen:
    """A platform of two places on one host. Implements retrain.platforms.port.Platform.

    Args:
        launcher: Starts and stops the servers.
        ports: The two places.
        host: Name or address under which bots reach this host.
        volume: Where the servers read adapters.
    """

    def __init__(
        self, launcher: Launcher, *, ports: Sequence[int], host: str, volume: AdapterVolume
    ) -> None:
        self._launcher = launcher
        self._volume = volume
        self._ports = tuple(ports)
        self._host = host
        self._http = httpx.AsyncClient(timeout=2.0)

    async def close(self) -> None:
        """Frees connections; servers go on."""
        await self._http.aclose()
        await self._launcher.close()

    async def look(
        self, keep: Sequence[Deployment], leave: Sequence[Deployment]
    ) -> Mapping[int, Observed]:
        """Takes one step; see the port."""
        taken = {place.deployment_id: place for place in await self._launcher.places()}
        wanted = {row.id for row in keep}
        for place in taken.values():
            if place.deployment_id not in wanted and not place.leaving:
                await self._launcher.stop(place)
        seen = {row.id: Observed(gone=row.id not in taken) for row in leave}
        self._volume.drop_others([*keep, *leave])
        for row in keep:
            if row.id in taken:
                seen[row.id] = await self._observe(taken[row.id])
            else:
                seen[row.id] = await self._start(row, [other.port for other in taken.values()])
                # What was just started is seen, and its place taken, at the next look.
                taken |= {each.deployment_id: each for each in await self._launcher.places()}
        return seen

    async def _observe(self, place: Place) -> Observed:
        url = f"http://{self._host}:{place.port}"
        if place.failed is not None:
            return Observed(failed=place.failed)
        if place.leaving or not await is_healthy(self._http, url):
            return Observed()
        replica = Replica(name=place.name, url=url)
        return Observed(url=url, replicas=(replica,), complete=True, pid=place.pid)

    async def _start(self, row: Deployment, taken: Sequence[int]) -> Observed:
        free = [port for port in self._ports if port not in taken]
        if not free:
            return Observed()  # the one before is still finishing
        before = int(row.url.rsplit(":", 1)[1]) if row.url else free[0]
        try:
            held = await asyncio.to_thread(self._volume.hold, row)
            # Bots know the row in use by its port, so its server comes back there.
            await self._launcher.start(held, before if before in free else free[0])
        except AdapterNotServedError as exc:
            return Observed(failed=str(exc))
        return Observed()


async def is_healthy(client: httpx.AsyncClient, url: str) -> bool:
    """Returns whether a model server answers that it is ready."""
    try:
        return (await client.get(f"{url}/health")).status_code == 200
    except httpx.HTTPError:
        return False
