"""An adapter: what it is made of, and what data trained it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.domain.learning import Adapter, AdapterState, DatasetVersion, TrainingRun
from feedback.web.views.cycle import DatasetView, dataset_view
from feedback.web.views.training import TrainingView, training_view
from feedback.web.words import plain

_RECIPE = ("rank", "alpha", "learning_rate", "epochs", "batch_size", "max_length", "seed")


@dataclass(frozen=True, kw_only=True)
class AdapterView:
    """One adapter in a list."""

    id: str
    sha256: str
    state: str
    tone: str
    base_model: str
    dataset_id: str
    training_run_id: str
    cycle_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class AdapterDetail:
    """An adapter with its lineage.

    Attributes:
        sources: Where its training rows came from, and how many.
        contributors: How many people's corrections are in it.
        redaction: Version of the redaction policy its rows went through.
        recipe: Hyperparameters people ask for.
        versions: Libraries that produced it.
    """

    adapter: AdapterView
    template_sha256: str
    dataset: DatasetView | None
    sources: tuple[tuple[str, int], ...]
    contributors: int | None
    redaction: str
    training: TrainingView | None
    recipe: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


def adapter_view(adapter: Adapter) -> AdapterView:
    """Returns the view of one adapter."""
    tones = {
        AdapterState.CHAMPION: "good",
        AdapterState.PUBLISHED: "now",
        AdapterState.TRAINED: "now",
        AdapterState.STOPPED: "bad",
        AdapterState.RETIRED: "quiet",
        AdapterState.BLOCKED: "bad",
    }
    return AdapterView(
        id=adapter.id,
        sha256=adapter.sha256,
        state=adapter.state,
        tone=tones[adapter.state],
        base_model=adapter.base_model,
        dataset_id=adapter.dataset_id,
        training_run_id=adapter.training_run_id,
        cycle_id=adapter.training_run_id.removeprefix("run-"),
        created_at=adapter.created_at,
    )


def adapter_detail(
    adapter: Adapter,
    version: DatasetVersion | None,
    run: TrainingRun | None,
    lineage: Sequence[tuple[str, int]],
) -> AdapterDetail:
    """Returns an adapter with everything that went into it.

    Args:
        adapter: The adapter.
        version: The dataset it was trained on.
        run: The run that made it.
        lineage: Source and count of the dataset's rows to train on.
    """
    manifest: Mapping[str, Any] = version.manifest if version else {}
    found = manifest.get("lineage", {})
    recipe: Mapping[str, Any] = (run.spec if run else {}).get("recipe", {})
    versions: Mapping[str, Any] = ((run.result if run else None) or {}).get("versions", {})
    return AdapterDetail(
        adapter=adapter_view(adapter),
        template_sha256=adapter.template_sha256,
        dataset=dataset_view(version) if version else None,
        sources=tuple(lineage),
        contributors=len(found["contributors"]) if "contributors" in found else None,
        redaction=str(found.get("redaction_version", "")),
        training=training_view(run) if run else None,
        recipe=tuple((plain(name), str(recipe[name])) for name in _RECIPE if name in recipe),
        versions=tuple((str(name), str(value)) for name, value in versions.items()),
    )
