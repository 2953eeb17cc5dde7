"""The step that decides: what it writes down, tells the operators, and shows."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from feedback.clock import FixedClock
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.domain.learning import AdapterState, DatasetVersion, RunState, TrainingRun
from feedback.store.unit_of_work import Store
from retrain.base_model import BASE_MODEL_ID, base_model_path
from retrain.cycle.evaluating import EvaluationSetup, GatingStep
from retrain.dataset import render_files
from retrain.evals import Evaluation
from retrain.gates import DEFAULT_RULES, GatePolicy
from retrain.publishing.identity import ADAPTER_FILES
from retrain.publishing.registry import AdapterRegistry
from tests.unit.dataset.samples import built, distinct_records
from tests.unit.gates.models import evaluation, scores

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
GOOD = {rule.metric: scores(200, 200) for rule in DEFAULT_RULES}
BASE = evaluation("base", **{**GOOD, "right": scores(0, 200), "on_brand": scores(0, 200)})  # type: ignore[arg-type]
CANDIDATE = evaluation("candidate", **GOOD)  # type: ignore[arg-type]


async def decided(
    store: Store, folder: Path, candidate: Evaluation, base: Evaluation | None = None
) -> tuple[GatingStep, Cycle]:
    """Puts into record and folder what the steps before leave there."""
    manifest = render_files(built(distinct_records(20))).manifest
    found = {"champion": BASE, "candidate": candidate, **({"base": base} if base else {})}
    (folder / "adapter").mkdir(parents=True)
    for name in ADAPTER_FILES:
        (folder / "adapter" / name).write_bytes(b"{}")
    (folder / "signature.json").write_text("{}")
    for name, model in found.items():
        (folder / f"{name}.json").write_text(json.dumps(model.to_row()))
    async with store.begin() as tx:
        await tx.datasets.add(
            DatasetVersion(
                id="d1", path=folder, labels=20, train_rows=15, holdout_rows=5, rejected_rows=0,
                manifest=manifest, created_at=NOW,
            ),
            [],
        )  # fmt: skip
        await tx.training.start(
            TrainingRun(
                id="run-c1", dataset_id="d1", base_model="tiny", spec={},
                state=RunState.FINISHED, started_at=NOW,
            )
        )  # fmt: skip
    setup = EvaluationSetup(
        base_id=BASE_MODEL_ID,
        base_dir=base_model_path(),
        registry=AdapterRegistry(folder / "adapters"),
        style_dir=folder,
        benchmark=None,
        max_tokens=8,
        threads=1,
        folder=folder,
        environment={},
    )
    context = {
        "evaluation_dir": str(folder),
        "adapter_dir": str(folder / "adapter"),
        "dataset_id": "d1",
        "run_id": "run-c1",
    }
    cycle = Cycle(
        id="c1", state=CycleState.GATING, version=1, trigger="request", requested_by="U1",
        options=CycleOptions(), context=context, started_at=NOW, updated_at=NOW,
    )  # fmt: skip
    return GatingStep(store, FixedClock(NOW), setup, GatePolicy(), "COPS"), cycle


async def test_a_good_candidate_goes_on_with_its_card(store: Store, tmp_path: Path) -> None:
    step, cycle = await decided(store, tmp_path, CANDIDATE, base=BASE)
    result = await step(cycle)
    assert result.outcome is None
    assert result.reason == "all 16 gates passed"
    html, markdown = ((tmp_path / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert "Length and pace" in html
    assert "| base |" in markdown
    async with store.begin() as tx:
        adapter = await tx.adapters.get(result.context["adapter_id"])
        (told,) = await tx.outbox.claim(["slack_message"], lease_s=60)
    assert adapter is not None
    assert adapter.state is AdapterState.TRAINED
    assert told.payload["channel"] == "COPS"
    assert ":white_check_mark: right: 0.0 % to 100.0 %" in told.payload["text"]


async def test_a_stopped_candidate_says_why_and_which_gate(store: Store, tmp_path: Path) -> None:
    forgetful = replace(evaluation("x", **{**GOOD, "facts": scores(120, 200)}))  # type: ignore[arg-type]
    step, cycle = await decided(store, tmp_path, forgetful)
    result = await step(cycle)
    assert (result.outcome, result.gate) == (CycleOutcome.STOPPED, "facts")
    assert "80 answers were lost" in result.reason
    async with store.begin() as tx:
        adapter = await tx.adapters.get(result.context["adapter_id"])
    assert adapter is not None
    assert adapter.state is AdapterState.STOPPED


async def test_an_external_set_that_falls_stops_too(store: Store, tmp_path: Path) -> None:
    before = evaluation("b", **{**GOOD, "external_gsm8k": scores(150, 200)[::-1]})  # type: ignore[arg-type]
    after = evaluation("a", **{**GOOD, "external_gsm8k": scores(90, 200)[::-1]})  # type: ignore[arg-type]
    step, cycle = await decided(store, tmp_path, after)
    (tmp_path / "champion.json").write_text(json.dumps(before.to_row()))
    result = await step(cycle)
    assert result.outcome is CycleOutcome.STOPPED
    assert "external_gsm8k fell" in (tmp_path / "report.md").read_text().replace("\\", "")
