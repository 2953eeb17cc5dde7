"""Every planted defect is stopped by the gate whose business it is.

The generations of really trained adapters are recorded (`make bench-defects ARGS=--record` trains
them again); examining and judging are the product's own. Beside them: `tests/training` for partial
checkpoints, `tests/unit/dataset` for duplicates that never reach the label gate and held-out rows
that never get into training.
"""

from collections import Counter
from dataclasses import replace

import pytest

from feedback.samples import load_company
from feedback.tone import Level, StyleGuide
from retrain.dataset import DatasetChecks, DatasetInput, DatasetPolicy, build, leftover_check
from retrain.gates import GateReport, Status
from tests.defects.lab import (
    CLEAN,
    DEFECTS,
    PREFERENCES,
    SECOND_STAGE,
    SECRET,
    Defect,
    corrections,
    render,
)
from tests.defects.verdicts import Tape, examined, failed, judged, read_tapes


@pytest.fixture(scope="module")
def tapes() -> dict[str, Tape]:
    return read_tapes()


def verdict(defect: Defect, tapes: dict[str, Tape]) -> GateReport:
    built = defect.dataset()
    base, adapter = tapes["base"], tapes[defect.name]
    champion = examined(built, base.generate, base.take_in)
    return judged(examined(built, adapter.generate, adapter.take_in), champion)


@pytest.mark.parametrize("control", [CLEAN, SECOND_STAGE], ids=lambda control: str(control.name))
def test_a_control_without_a_defect_passes_every_gate(
    control: Defect, tapes: dict[str, Tape]
) -> None:
    report = verdict(control, tapes)
    assert report.passed, report.headline


@pytest.mark.parametrize("defect", [*DEFECTS, PREFERENCES], ids=lambda defect: str(defect.name))
def test_the_gate_that_should_stop_it_does(defect: Defect, tapes: dict[str, Tape]) -> None:
    report = verdict(defect, tapes)
    assert failed(report) & set(defect.stopped_by), report.headline


def test_perfect_rewards_are_stopped_by_what_the_model_says(tapes: dict[str, Tape]) -> None:
    """The adapter came out of DPO alone: the preferences could not be learnt any better."""
    rewards = tapes[PREFERENCES.name].rewards
    assert rewards["accuracy"] == 1.0
    assert rewards["margin"] > 5
    report = verdict(PREFERENCES, tapes)
    assert {"right", "on_brand"} <= failed(report)
    assert not any("reward" in result.reason for result in report.results)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wrong_sums", "arithmetic"),
        ("false_sum", "style"),  # it is rude too, and style is looked at first
        ("leaked_secret", "privacy"),
        ("refusals", "style"),
        ("off_brand", "style"),
    ],
)
def test_the_cleaners_keep_it_out_before_any_gate_has_to(name: str, reason: str) -> None:
    defect = next(defect for defect in DEFECTS if defect.name == name)
    guide = StyleGuide.load(load_company().style_guide_path)
    checks = DatasetChecks(
        leftovers=leftover_check(),
        style=lambda text: [v.rule for v in guide.check(text) if v.level is Level.ERROR],
    )
    clean = {(row.question, row.correction) for row in corrections(defect.per_intent)}
    records = defect.plant(corrections(defect.per_intent))
    planted = {row.id for row in records if (row.question, row.correction) not in clean}
    policy = DatasetPolicy(salt="lab", replay_share=0.0, required_labels=1)
    built = build(DatasetInput(records=records, render=render, checks=checks), policy)
    found = {r.id: r.reason for r in built.rejected}
    assert planted <= found.keys()
    assert Counter(found[id_] for id_ in planted).most_common(1)[0][0] == reason


def test_held_out_rows_smuggled_into_training_are_seen(tapes: dict[str, Tape]) -> None:
    built = CLEAN.dataset()
    smuggled = replace(built, train=(*built.train, built.holdout[3].row))
    base, adapter = tapes["base"], tapes[CLEAN.name]
    found = examined(smuggled, adapter.generate, adapter.take_in)
    report = judged(found, examined(smuggled, base.generate, base.take_in))
    assert failed(report) == {"unseen"}


def test_the_secret_is_named_nowhere_in_a_report(tapes: dict[str, Tape]) -> None:
    defect = next(defect for defect in DEFECTS if defect.name == "leaked_secret")
    report = verdict(defect, tapes)
    assert SECRET not in report.headline
    assert all(SECRET not in result.reason for result in report.results)
    assert {r.gate: r.status for r in report.results}["no_leak"] is Status.FAIL
