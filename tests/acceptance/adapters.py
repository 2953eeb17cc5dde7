"""A small adapter, trained and signed by the real modules in processes of their own."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetVersion,
    RunState,
    TrainingRun,
)
from feedback.prompting import build_messages
from feedback.samples import load_company
from feedback.settings import PACKAGED_BASE
from feedback.store.unit_of_work import Store
from retrain.base_model import base_model_path, template_sha256
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.training.process import training_command, training_environment
from retrain.training.spec import QloraRecipe, TrainingSpec

_SIGN = """
import json, sys
from pathlib import Path
from retrain.publishing.signing import sign_adapter
signature = sign_adapter(Path(sys.argv[1]), Path(sys.argv[2])).to_json()
Path(sys.argv[3]).write_text(json.dumps(signature))
"""


async def train_small_adapter(folder: Path) -> Path:
    """Trains a few steps on a few corrections and signs the result; returns the run's folder."""
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _rows()))
    spec = TrainingSpec(
        dataset_dir=folder,
        base_dir=base_model_path(),
        base_id=PACKAGED_BASE,
        out_dir=folder / "adapter",
        work_dir=folder / "work",
        recipe=QloraRecipe(rank=8, epochs=4, batch_size=8, warmup_steps=2, save_every=0),
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_row()))
    await _run([*training_command(), "--spec", str(folder / "spec.json")], folder)
    signature = str(folder / "signature.json")
    adapter = str(folder / "adapter")
    await _run([sys.executable, "-c", _SIGN, str(base_model_path()), adapter, signature], folder)
    return folder


async def register(store: Store, run: Path, name: str, at: datetime) -> Adapter:
    """Registers a copy of a trained adapter under a name, with its real hash and signature."""
    path = run.parent / f"adapter-{name}"
    shutil.copytree(run / "adapter", path)
    adapter = Adapter(
        id=f"adapter-{name}",
        sha256=file_sha256(path / WEIGHTS),
        path=path,
        base_model=PACKAGED_BASE,
        template_sha256=template_sha256(base_model_path()),
        dataset_id=f"dataset-{name}",
        training_run_id=f"run-{name}",
        signature=json.loads((run / "signature.json").read_text()),
        state=AdapterState.TRAINED,
        created_at=at,
    )
    dataset = DatasetVersion(
        id=adapter.dataset_id,
        path=run,
        labels=len(_rows()),
        train_rows=len(_rows()),
        holdout_rows=0,
        rejected_rows=0,
        manifest={},
        created_at=at,
    )
    trained = TrainingRun(
        id=adapter.training_run_id,
        dataset_id=dataset.id,
        base_model=PACKAGED_BASE,
        spec={},
        state=RunState.FINISHED,
        started_at=at,
    )
    async with store.begin() as tx:
        await tx.datasets.add(dataset, [])
        await tx.training.start(trained)
        await tx.adapters.add(adapter)
        gates = {"passed": True, "headline": "all gates passed"}
        await tx.training.add_evaluation(trained.id, "candidate", {}, at=at, gates=gates)
    return adapter


def swap_weights(adapter: Adapter) -> None:
    """Puts other, equally valid weights where the registered ones lay."""
    path = adapter.path / WEIGHTS
    weights = {name: np.asarray(value * 1.5) for name, value in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})


def _rows() -> list[dict[str, Any]]:
    company = load_company()
    rows = []
    for number, intent in enumerate(company.intents[:24]):
        messages = build_messages(
            intent.questions("live")[0], [company.document(intent.doc_id).text]
        )
        rows.append(
            {
                "id": str(number),
                "messages": [asdict(message) for message in messages],
                "completion": intent.gold_answer,
                "source": "correction",
                "interaction_ids": [],
            }
        )
    return rows


async def _run(command: Sequence[str], folder: Path) -> None:
    environment = dict(os.environ) | dict(training_environment(1))
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=log, stderr=log
        )
    assert await process.wait() == 0, (folder / "log").read_text(errors="replace")[-2000:]
