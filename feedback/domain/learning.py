"""What a cycle leaves behind: dataset versions, training runs, adapters, deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """An immutable, content-addressed dataset on disk.

    Attributes:
        labels: Distinct, clean, human-approved examples: what the label gate counts.
        forgotten_rows: Rows of people who were forgotten after it was built.
    """

    id: str
    path: Path
    labels: int
    train_rows: int
    holdout_rows: int
    rejected_rows: int
    manifest: Mapping[str, Any]
    created_at: datetime
    forgotten_rows: int = 0


@dataclass(frozen=True, kw_only=True)
class DatasetExample:
    """One example's lineage: the side it is on and the interactions it came from."""

    example_id: str
    side: str
    source: str
    interaction_ids: tuple[str, ...]


class RunState(StrEnum):
    """Where a training run is."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One QLoRA run, its progress and its result."""

    id: str
    dataset_id: str
    base_model: str
    spec: Mapping[str, Any]
    state: RunState
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: str | None = None
    started_at: datetime
    finished_at: datetime | None = None


class AdapterState(StrEnum):
    """What has been decided about an adapter."""

    TRAINED = "trained"
    STOPPED = "stopped"
    PUBLISHED = "published"
    CHAMPION = "champion"
    RETIRED = "retired"
    BLOCKED = "blocked"
    """Promoted and taken back: neither it nor another one from its dataset is tried again."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """LoRA weights with everything needed to prove that they are the ones being served.

    Attributes:
        signature: Greedy tokens and log-probabilities of fixed probes, base and adapter.
        collected_at: When its files were given up; None while they are kept.
    """

    id: str
    sha256: str
    path: Path
    base_model: str
    template_sha256: str
    dataset_id: str
    training_run_id: str
    signature: Mapping[str, Any]
    state: AdapterState
    created_at: datetime
    collected_at: datetime | None = None


class DeploymentState(StrEnum):
    """Where a deployment of model servers is; the fleet and the publisher move it.

    DESIRED -> READY (fleet: every replica answers) -> ACTIVE (publisher: every adapter is proven on
    every replica) -> DRAINING (publisher: a newer one is active) -> STOPPED (fleet). READY goes
    back to DESIRED when a replica is lost. FAILED ends a start or a proof that did not succeed;
    the active deployment is left alone then.
    """

    DESIRED = "desired"
    READY = "ready"
    ACTIVE = "active"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ServedAdapter:
    """One adapter a server must hold."""

    name: str
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One running server of a deployment.

    Attributes:
        name: Another one after every start, so that nothing proven of one start is taken for the
            next.
        url: Reaches this server and no other.
    """

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Model servers with the same adapters, wanted or running.

    Attributes:
        platform: Who looks after the servers: a value of UNDERSTUDY_PUBLISH__PLATFORM, or
            `external`.
        url: Where bots reach them; one address however many replicas there are.
        base_name: What the servers call the base model in requests.
        replicas: The servers that answer now.
        pid: Of the server on this machine, if that is where it runs.
        proof: Evidence; under `replicas` that of each server by its name.
    """

    id: int
    platform: str
    base_model: str
    base_name: str
    adapters: tuple[ServedAdapter, ...]
    state: DeploymentState
    url: str | None
    replicas: tuple[Replica, ...]
    pid: int | None
    error: str | None
    proof: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime

    @property
    def in_use(self) -> tuple[ServedAdapter, ...]:
        """The adapters that may get traffic: all, but those that a coming deployment lacks."""
        retired = (self.proof or {}).get("retired", ())
        return tuple(adapter for adapter in self.adapters if adapter.name not in retired)

    def is_proven(self, replica: Replica) -> bool:
        """Whether every adapter was shown to be served by this start of a server."""
        return replica.name in (self.proof or {}).get("replicas", {})

    @property
    def proven_everywhere(self) -> bool:
        """Whether there are servers, and every one of them is proven."""
        return bool(self.replicas) and all(map(self.is_proven, self.replicas))

    @property
    def proven(self) -> frozenset[str]:
        """Names of the adapters that the last proof or check found served."""
        return proven_names(self.proof)


def proven_names(proof: Mapping[str, Any] | None) -> frozenset[str]:
    """Returns the adapters that a proof stands for: only these are ever asked for by name."""
    return frozenset((proof or {}).get("adapters", {}))
