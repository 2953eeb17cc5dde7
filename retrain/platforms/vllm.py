"""vLLM servers that somebody runs: adapters are loaded into them and taken out while they serve.

Needs VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and --enable-lora. The calls reach one server each and are
never passed on, so every replica is asked by its own URL. An unknown name gets a 404 here, not the
base model as with TGI.
"""

import asyncio
import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from feedback.domain.learning import Deployment, Replica, ServedAdapter
from feedback.errors import AdapterNotServedError, ConfigurationError, UnauthorizedError
from retrain.platforms.port import Observed
from retrain.platforms.volume import AdapterVolume

_log = logging.getLogger(__name__)
_LOAD_S = 120.0
"""A load reads a file from a volume, which may be slow; nothing else waits for it."""


@dataclass(kw_only=True)
class _Server:
    """One replica as it is listed now.

    Attributes:
        adapters: Name to folder, of what is loaded.
        refused: Why an adapter cannot be loaded, by name.
    """

    url: str
    base_name: str
    adapters: dict[str, str]
    refused: dict[str, str] = field(default_factory=dict)

    def lacks(self, row: Deployment) -> list[ServedAdapter]:
        return [each for each in row.adapters if self.adapters.get(each.name) != each.path]

    def knows(self, row: Deployment) -> bool:
        return any(replica.url == self.url for replica in row.replicas)


class VllmPlatform:
    """Implements retrain.platforms.port.Platform over vLLM's own routes.

    Args:
        replicas: URL of every server, each reached directly.
        url: Where bots go: what stands in front of the replicas.
        api_key: vLLM's --api-key; `-` when there is none.
        volume: Where the servers read adapters.
    """

    def __init__(
        self, replicas: Collection[str], *, url: str, api_key: str, volume: AdapterVolume
    ) -> None:
        self._replicas = tuple(replica.rstrip("/").removesuffix("/v1") for replica in replicas)
        self._url = url
        self._volume = volume
        headers = {"authorization": f"Bearer {api_key}"}
        self._http = httpx.AsyncClient(
            headers=headers, timeout=httpx.Timeout(_LOAD_S, connect=3.0), trust_env=False
        )

    async def close(self) -> None:
        """Frees connections; servers go on."""
        await self._http.aclose()

    async def look(
        self, keep: Sequence[Deployment], leave: Sequence[Deployment]
    ) -> Mapping[int, Observed]:
        """Loads what is missing and unloads what nobody names any more; see the port."""
        held: list[Deployment] = []
        seen: dict[int, Observed] = {}
        for row in keep:
            try:
                held.append(await asyncio.to_thread(self._volume.hold, row))
            except AdapterNotServedError as exc:
                seen[row.id] = Observed(failed=str(exc))
        ended = {each.name for row in leave for each in row.adapters}
        listed = await asyncio.gather(
            *(self._step(replica, held, ended) for replica in self._replicas)
        )
        servers = [server for server in listed if server is not None]
        self._volume.drop_others([*keep, *leave])
        wanted = {each.name for row in held for each in row.adapters}
        for row in held:
            seen[row.id] = self._observe(row, servers)
        for row in leave:
            own = {each.name for each in row.adapters} - wanted
            seen[row.id] = Observed(gone=not any(own & set(each.adapters) for each in servers))
        return seen

    async def _step(
        self, url: str, keep: Sequence[Deployment], ended: Collection[str]
    ) -> _Server | None:
        """Takes one server a step further; None when it does not answer."""
        try:
            server = await self._list(url)
            # A server that lost what a row relies on was started anew. The row must forget it
            # before anything is loaded, or the new start would pass for the proven one.
            if not any(server.knows(row) and server.lacks(row) for row in keep):
                missing = {each.name: each for row in keep for each in server.lacks(row)}
                for adapter in missing.values():
                    await self._load(server, adapter)
            await self._unload(server, keep, ended)
        except httpx.HTTPError as exc:
            _log.warning("%s does not answer: %r", url, exc)
            return None
        return server

    def _observe(self, row: Deployment, servers: Sequence[_Server]) -> Observed:
        refused = [why for server in servers for name, why in server.refused.items()
                   if name in {each.name for each in row.adapters}]  # fmt: skip
        if refused:
            return Observed(failed=refused[0])
        names = {replica.url: replica.name for replica in row.replicas}
        replicas = tuple(
            Replica(
                name=names.get(server.url) or f"{server.url}#{uuid.uuid4().hex[:12]}",
                url=server.url,
            )
            for server in servers
            if not server.lacks(row)
        )
        return Observed(
            url=self._url if replicas else None,
            replicas=replicas,
            complete=len(replicas) == len(self._replicas),
            base_name=servers[0].base_name if servers else "",
        )

    async def _list(self, url: str) -> _Server:
        response = await self._http.get(f"{url}/v1/models", timeout=5.0)
        if response.status_code in {401, 403}:
            raise UnauthorizedError(
                f"{url} answers {response.status_code}; set UNDERSTUDY_MODEL__API_KEY to vLLM's "
                "--api-key"
            )
        response.raise_for_status()
        cards = response.json()["data"]
        base = next((card["id"] for card in cards if not card.get("parent")), None)
        if base is None:
            raise ConfigurationError(f"{url}/v1/models lists no base model; is it a vLLM server?")
        adapters = {card["id"]: str(card.get("root")) for card in cards if card.get("parent")}
        return _Server(url=url, base_name=base, adapters=adapters)

    async def _load(self, server: _Server, adapter: ServedAdapter) -> None:
        """Loads one adapter. It is listed, and so seen, at the next look."""
        other = server.adapters.get(adapter.name)
        if other is not None:
            server.refused[adapter.name] = (
                f"{server.url} serves {adapter.name} from {other}, not from {adapter.path}: unload "
                "it there; a name never changes its weights"
            )
            return
        body = {"lora_name": adapter.name, "lora_path": adapter.path}
        response = await self._http.post(f"{server.url}/v1/load_lora_adapter", json=body)
        if response.status_code == 200 or "already been loaded" in response.text:
            return
        remedy = "see the server's log"
        if response.status_code == 404:
            remedy = (
                f"let the server see {adapter.path} (UNDERSTUDY_PUBLISH__VOLUME and __MOUNT), and "
                "start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and --enable-lora"
            )
        server.refused[adapter.name] = (
            f"{server.url} does not load {adapter.name}: {response.status_code} "
            f"{response.text[:300]}; {remedy}"
        )

    async def _unload(
        self, server: _Server, keep: Sequence[Deployment], ended: Collection[str]
    ) -> None:
        """Takes out what was ours and is named by no deployment; an operator's own stays."""
        wanted = {each.name for row in keep for each in row.adapters}
        for name, path in list(server.adapters.items()):
            if name not in wanted and (name in ended or self._volume.is_ours(path)):
                response = await self._http.post(
                    f"{server.url}/v1/unload_lora_adapter", json={"lora_name": name}
                )
                if response.status_code in {200, 404}:
                    del server.adapters[name]
