"""Everything that must hold before a server gets traffic, asked of one server at once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from feedback.domain.learning import Adapter
from feedback.errors import (
    AdapterNotServedError,
    ConfigurationError,
    PermanentError,
    UnauthorizedError,
)
from feedback.ports import Message
from feedback.serving.tgi import TgiTextGenerator
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.publishing.lint import require_servable
from retrain.publishing.manifest import MANIFEST, BaseIdentity, lint_manifest
from retrain.publishing.probes import PROBE_QUESTIONS
from retrain.publishing.proof import (
    Precision,
    ProbeClient,
    ProbeSignature,
    prove,
    prove_isolation,
    prove_prompt_parity,
)
from retrain.publishing.rendering import TrainedRenderer

_SHA256_DIGITS = 64

_DISPROVEN = (ConfigurationError, PermanentError)
"""Something else is served, or nothing that can be understood."""

RECHECK_PROBES = 2
"""Probes of a re-check beside live traffic; when one fails, all of them decide."""


class ServerProbe(ProbeClient, Protocol):
    """A connection to one server, for proofs."""

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        ...

    async def info(self) -> dict[str, Any]:
        """Returns what the server says of itself; `model_sha` where it knows its snapshot."""
        ...

    async def aclose(self) -> None:
        """Closes all connections."""
        ...


class Connect(Protocol):
    """Makes a connection; TgiTextGenerator and VllmProbe fit."""

    def __call__(self, url: str, /, *, adapters: Sequence[str], token: str | None) -> ServerProbe:
        """Returns a client of the server at `url`, which should serve these adapters."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """What a server in use still answers with.

    Attributes:
        proofs: By adapter, as JSON.
        lost: Adapters that it no longer answers with, each with the reason.
    """

    proofs: Mapping[str, Any]
    lost: Mapping[str, str]


class AdapterProver:
    """Lints, compares snapshots, proves prompt parity, every adapter, and isolation.

    Args:
        base: The base snapshot's folder.
        base_id: What adapters must name as their base; None takes any name.
        token: The server's API key.
        precision: `half` for GPU servers that do not answer in fp32.
        shards: GPUs that one server is spread over.
        isolation_requests: Interleaved requests of the isolation test.
        connect: Makes a client of a server; another one for servers without TGI's routes.
    """

    def __init__(
        self,
        base: Path,
        *,
        base_id: str | None = None,
        token: str | None = None,
        precision: Precision = "fp32",
        shards: int = 1,
        isolation_requests: int = 120,
        connect: Connect = TgiTextGenerator,
    ) -> None:
        self._base = base
        self._base_id = base_id
        self._shards = shards
        self._connect = connect
        self._token = token
        self._precision: Precision = precision
        self._isolation_requests = isolation_requests
        self._render: TrainedRenderer | None = None
        self._identity: BaseIdentity | None = None

    async def prove(self, url: str, adapters: Sequence[Adapter]) -> Mapping[str, Any]:
        """Returns the evidence, as JSON; without adapters the base alone is checked.

        Raises:
            AdapterNotServedError: An adapter answers like the base or not like itself, its file
                changed, or rows of a batch are mixed.
            TemplateRejectedError: The server renders another prompt than training did.
            ConfigurationError: Lint failed or another base is served.
            RetryableError: The server cannot be asked now.
        """
        names = [adapter.id for adapter in adapters]
        for adapter in adapters:
            await asyncio.to_thread(self._check_files, adapter)
        render = await asyncio.to_thread(self._renderer)
        client = self._connect(url, adapters=names, token=self._token)
        try:
            snapshot = await self._check_base(client)
            parity = await prove_prompt_parity(client, render)
            proofs = {
                adapter.id: await prove(
                    client,
                    adapter.id,
                    ProbeSignature.from_json(adapter.signature),
                    precision=self._precision,
                )
                for adapter in adapters
            }
            evidence: dict[str, Any] = {
                "base_snapshot": snapshot,
                "template_sha256": self._served_base().template,
                "prompt_parity": parity,
                "adapters": {
                    adapter.id: {**proofs[adapter.id].to_json(), "sha256": adapter.sha256}
                    for adapter in adapters
                },
            }
            if adapters:
                prompts = [render([Message(role="user", content=q)]).text for q in PROBE_QUESTIONS]
                isolation = await prove_isolation(
                    client,
                    [None, *names],
                    prompts,
                    requests=self._isolation_requests,
                    precision=self._precision,
                )
                evidence["isolation"] = asdict(isolation)
            return evidence
        finally:
            await client.aclose()

    async def recheck(self, url: str, adapters: Sequence[Adapter]) -> Recheck:
        """Asks a server in use whether it still answers with what was proven on it.

        Two requests for each adapter and as many for the base beside the traffic; no isolation
        test, which would take every place of the server.

        Raises:
            RetryableError: The server cannot be asked now: that is no loss.
            UnauthorizedError: Nor is this.
        """
        client = self._connect(url, adapters=[a.id for a in adapters], token=self._token)
        proofs: dict[str, Any] = {}
        lost: dict[str, str] = {}
        try:
            render = await asyncio.to_thread(self._renderer)
            await prove_prompt_parity(client, render)
            for adapter in adapters:
                try:
                    proofs[adapter.id] = await self._again(client, adapter)
                except UnauthorizedError:
                    raise
                except _DISPROVEN as exc:
                    lost[adapter.id] = str(exc)
        except UnauthorizedError:
            raise  # our key is wrong, which says nothing of the server
        except _DISPROVEN as exc:  # another prompt reaches every adapter
            lost = {adapter.id: str(exc) for adapter in adapters}
        finally:
            await client.aclose()
        return Recheck(proofs=proofs, lost=lost)

    async def _again(self, client: ServerProbe, adapter: Adapter) -> Mapping[str, Any]:
        expected = ProbeSignature.from_json(adapter.signature)
        for signed in (expected.telling(RECHECK_PROBES), expected):
            try:
                proof = await prove(client, adapter.id, signed, precision=self._precision)
            except _DISPROVEN:
                if signed is expected:
                    raise
            else:
                break
        return {**proof.to_json(), "sha256": adapter.sha256}

    def _renderer(self) -> TrainedRenderer:
        if self._render is None:
            self._render = TrainedRenderer(self._base)
        return self._render

    def _served_base(self) -> BaseIdentity:
        """The base that servers are started on; hashed once, for its weights may be large."""
        if self._identity is None:
            self._identity = BaseIdentity.of(self._base, self._base_id or "")
        return self._identity

    def _check_files(self, adapter: Adapter) -> None:
        require_servable(
            adapter.path,
            name=adapter.id,
            base=self._base,
            base_id=self._base_id or adapter.base_model,
            shards=self._shards,
        )
        found = file_sha256(adapter.path / WEIGHTS)
        if found != adapter.sha256:
            raise AdapterNotServedError(
                f"{adapter.path / WEIGHTS} has sha256 {found}, adapter {adapter.id} was registered "
                f"with {adapter.sha256}: the file changed after training"
            )
        if (adapter.path / MANIFEST).exists():
            trained = replace(self._served_base(), id=self._base_id or adapter.base_model)
            problems = lint_manifest(adapter.path, trained)
            if problems:
                raise ConfigurationError(*(f"adapter {adapter.id}: {text}" for text in problems))

    async def _check_base(self, client: ServerProbe) -> str:
        """Compares snapshot ids; TGI's own model_sha is a hub commit, which the probes cover."""
        served = str((await client.info()).get("model_sha") or "")
        own = (await asyncio.to_thread(self._served_base)).snapshot
        if len(served) == _SHA256_DIGITS and served != own:
            raise ConfigurationError(
                f"{client.endpoint} serves base snapshot {served[:12]}, training used {own[:12]} "
                f"({self._base}); start the server on that folder"
            )
        return own
