"""From a candidate that went through the gates to its files, seen and collected by command."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import build
from feedback.clock import FileClock, FixedClock
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState, StepResult
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Store
from retrain.cycle.evaluating import EvaluationSetup, GatingStep
from retrain.dataset import render_files
from retrain.gates import GatePolicy
from retrain.publishing.manifest import BaseIdentity, lint_manifest, read_manifest
from retrain.publishing.registry import AdapterRegistry
from tests.integration.operating.stage import add_adapter
from tests.serving_fixtures import tiny_adapters, tiny_base
from tests.unit.dataset.samples import built, distinct_records
from tests.unit.gates.models import evaluation, scores

__all__ = ["tiny_adapters", "tiny_base"]

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
Run = Callable[..., Result]


@pytest.fixture
def understudy(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_STATE_DIR", str(tmp_path))
    clock_file = tmp_path / "clock"
    FileClock(clock_file).set(NOW + timedelta(days=100))
    monkeypatch.setenv("UNDERSTUDY_CLOCK_FILE", str(clock_file))
    app = build(["adapter"])
    return lambda *arguments: CliRunner().invoke(app, ["adapter", *arguments])


async def gated(url: str, state: Path, base: Path, adapter: Path) -> StepResult:
    """A candidate that improves nothing, gated twice, as after a kill."""
    folder = state / "evaluation"
    folder.mkdir()
    for name in ("champion", "candidate"):
        row = evaluation(name, right=scores(50, 100)).to_row()
        (folder / f"{name}.json").write_text(json.dumps(row))
    (folder / "signature.json").write_text(json.dumps({"prompts": ["one"]}))
    store = Store.connect(url)
    async with store.begin() as tx:
        made = await add_adapter(tx, "template")
        manifest = render_files(built(distinct_records(20))).manifest
        version = await tx.datasets.get(made.dataset_id)
        assert version is not None
        await tx.connection.exec_driver_sql(
            "update dataset_versions set manifest = %s", (json.dumps(manifest),)
        )
        await tx.connection.exec_driver_sql("delete from adapters")
    setup = EvaluationSetup(
        base_id="tiny", base_dir=base, registry=AdapterRegistry(state / "adapters"),
        style_dir=base, benchmark=None, max_tokens=8, threads=1, folder=state, environment={},
    )  # fmt: skip
    cycle = Cycle(
        id="c", state=CycleState.GATING, version=1, trigger="request", requested_by="x",
        options=CycleOptions(), started_at=NOW, updated_at=NOW,
        context={
            "evaluation_dir": str(folder), "adapter_dir": str(adapter),
            "dataset_id": made.dataset_id, "run_id": made.training_run_id,
        },
    )  # fmt: skip
    clock = FixedClock(NOW)
    step = GatingStep(store, clock, setup, GatePolicy())
    await step(cycle)
    clock.advance(timedelta(minutes=1))
    result = await step(cycle)
    await store.close()
    return result


def test_a_candidate_is_kept_shown_and_collected(
    understudy: Run, database_url: str, tmp_path: Path, tiny_base: Path,
    tiny_adapters: dict[str, Path],
) -> None:  # fmt: skip
    result = asyncio.run(gated(database_url, tmp_path, tiny_base, tiny_adapters["cobalt"]))
    assert result.outcome is CycleOutcome.STOPPED
    adapter_id = result.context["adapter_id"]
    (folder,) = (tmp_path / "adapters").iterdir()
    manifest = read_manifest(folder)
    assert manifest.id == adapter_id
    assert manifest.gates["passed"] is False
    assert manifest.signature == {"prompts": ["one"]}
    assert lint_manifest(folder, BaseIdentity.of(tiny_base, "tiny")) == []

    (row,) = map(json.loads, understudy("list").stdout.splitlines())
    assert (row["id"], row["state"], row["held"]) == (adapter_id, "stopped", None)
    assert row["bytes"] > 10_000
    shown = json.loads(understudy("show", adapter_id).stdout)
    assert shown["path"] == str(folder)
    assert shown["gates"]["passed"] is False
    assert isinstance(understudy("show", "nothing").exception, NotFoundError)

    assert json.loads(understudy("gc", "--days", "101").stdout)["would_remove"] == []
    planned = json.loads(understudy("gc").stdout)
    assert (planned["would_remove"], planned["bytes"]) == ([adapter_id], row["bytes"])
    assert folder.exists()
    assert json.loads(understudy("gc", "--yes").stdout)["removed"] == [adapter_id]
    assert not folder.exists()
    (row,) = map(json.loads, understudy("list").stdout.splitlines())
    assert row["collected_at"]
