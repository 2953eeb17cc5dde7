"""A promotion by hand over an undecided experiment: what stands against it, with figures."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from feedback.domain.override import OverrideFacts, objections, override_words
from feedback.domain.trial import Trial
from retrain.gates.report import GateReport, GateResult, Status

NOW = datetime(2026, 3, 4, tzinfo=UTC)
GATES: dict[str, Any] = {
    "passed": True,
    "headline": "all 2 gates passed",
    "results": [
        {"gate": "right", "margin": None, "champion": 0.41, "challenger": 0.83, "n": 120},
        {"gate": "facts", "margin": 0.05, "champion": 0.90, "challenger": 0.95, "n": 60},
    ],
}


def trial(low: float | None = -0.0299, **changes: Any) -> Trial:  # noqa: ANN401
    lift = {} if low is None else {"estimate": 0.05, "low": -0.05, "low_one_sided": low}
    base = Trial(
        id="e1", cycle_id="c1", challenger_id="new", champion_id="old", salt="s", policy={},
        slow_ms=None, state="INCONCLUSIVE", stage="TEST", share=0.5, version=9,
        evidence={"evidence": {"lift": lift}}, started_at=NOW, ended_at=NOW,
    )  # fmt: skip
    return replace(base, **changes)


FACTS = OverrideFacts(
    trial=trial(), champion_id="old", frozen=False, rivals=(), blocked_by=None, gates=GATES,
    compared=True, served=True, coming=True,
)  # fmt: skip


def test_nothing_stands_against_it_and_the_grounds_have_figures() -> None:
    assert objections(FACTS) == ()
    assert FACTS.grounds == (
        "the lift is surely above -0.030; offline right rose from 0.41 to 0.83 (n=120)"
    )
    assert "understudy experiment promote" in override_words(())


def test_gains_are_read_from_what_the_gates_write() -> None:
    found = [
        GateResult(gate=gate, status=Status.PASS, champion=0.5, challenger=value, n=80,
                   margin=margin, reason="")
        for gate, value, margin in (
            ("right", 0.75, None), ("no_leak", 0.5, None), ("facts", 0.9, 0.05),
        )
    ]  # fmt: skip
    report = GateReport(passed=True, results=tuple(found)).to_row()
    assert replace(FACTS, gates=report).gains == ("right rose from 0.50 to 0.75 (n=80)",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frozen": True}, "unfreeze it first"),
        ({"rivals": (trial(id="e2", state="CANARY", ended_at=None),)}, "e2 is stage TEST"),
        ({"champion_id": "newer"}, "the champion is newer by now: `understudy experiment start"),
        ({"champion_id": None}, "the champion is the base model by now"),
        ({"blocked_by": "new"}, "new was taken back: train a new one"),
        ({"trial": trial(-0.03)}, "may be as low as -0.030 and must surely be above -0.030"),
        ({"trial": trial(None)}, "may be as low as -1.000"),
        ({"trial": trial(evidence=None)}, "may be as low as -1.000"),
        ({"gates": {}}, "there is no evaluation of it"),
        ({"gates": GATES | {"passed": False, "headline": "stopped by facts"}}, "stopped by facts"),
        ({"gates": GATES | {"results": GATES["results"][1:]}}, "shows no gain"),
        ({"compared": False}, "with an earlier champion: `understudy experiment start new`"),
        ({"served": False}, "not proven on every server in use: `understudy experiment start new`"),
        ({"coming": False}, "servers without it are being started"),
    ],
)
def test_one_thing_stands_against_it_and_says_what_to_do(
    change: dict[str, Any], words: str
) -> None:
    (only,) = objections(replace(FACTS, **change))
    assert words in only
    assert words in override_words((only,))


def test_everything_that_stands_against_it_is_told_at_once() -> None:
    against = objections(
        replace(FACTS, frozen=True, trial=trial(-0.2), gates={}, served=False, coming=False)
    )
    assert len(against) == 4
