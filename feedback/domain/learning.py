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


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """LoRA weights with everything needed to prove that they are the ones being served.

    Attributes:
        signature: Greedy tokens and log-probabilities of fixed probes, base and adapter.
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


class DeploymentState(StrEnum):
    """Where a model-server deployment is; the supervisor and the publisher move it.

    DESIRED -> READY (supervisor: it answers /health) -> ACTIVE (publisher: every adapter proven)
    -> DRAINING (publisher: a newer one is active) -> STOPPED (supervisor). FAILED ends a start
    or a proof that did not succeed; the active deployment is left alone then.
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
class Deployment:
    """One model server with its adapters, wanted or running."""

    id: int
    base_model: str
    adapters: tuple[ServedAdapter, ...]
    state: DeploymentState
    url: str | None
    pid: int | None
    error: str | None
    proof: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime
