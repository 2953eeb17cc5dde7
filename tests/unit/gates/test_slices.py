"""Good on the whole is not good enough when one part of it is worse off."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.errors import ConfigurationError
from retrain.evals import Evaluation
from retrain.gates import (
    SLICES,
    Demand,
    GatePolicy,
    GateReport,
    GateRule,
    SliceResult,
    Status,
    decide,
)
from retrain.report_card import render_html, render_markdown, render_summary, report_card
from tests.unit.gates.models import evaluation, scores

POLICY = GatePolicy(
    rules=(GateRule(metric="right", demand=Demand.IMPROVE, ceiling=0.95),),
    require_never_break=False,
)
ORDER = [Status.FAIL, Status.CANNOT_TELL, Status.PASS]


def sliced(model: str, parts: dict[str, list[float]], *, per_group: int = 1) -> Evaluation:
    """Builds an evaluation whose examples fall into parts, each with its scores."""
    flat = [(name, score) for name, values in parts.items() for score in values]
    found = evaluation(model, never_break=0, right=[score for _, score in flat])
    outcomes = tuple(
        replace(outcome, slices=(f"channel: {name}",), group=f"g{number // per_group}")
        for number, (outcome, (name, _)) in enumerate(
            zip(found.outcomes["right"], flat, strict=True)
        )
    )
    return replace(found, outcomes={"right": outcomes})


BEFORE = {"A": scores(60, 100), "B": scores(60, 100), "C": scores(24, 40), "D": scores(3, 5)}


def judged(after: dict[str, list[float]], policy: GatePolicy = POLICY) -> GateReport:
    return decide(sliced("challenger", after), sliced("champion", BEFORE), policy)


def found(report: GateReport, name: str) -> SliceResult:
    return next(s for s in report.slices if s.slice == f"channel: {name}")


WRECKED = {"A": scores(98, 100), "B": scores(97, 100), "C": scores(2, 40), "D": scores(5, 5)}


def test_good_on_the_whole_with_one_slice_wrecked_is_stopped_by_the_slices() -> None:
    report = judged(WRECKED)
    status = {result.gate: result.status for result in report.results}
    assert status == {"right": Status.PASS, SLICES: Status.FAIL}
    assert report.stopped_by == SLICES
    assert report.headline == (
        "stopped by slices: in channel: C, right fell from 0.60 to 0.05 (n=40, margin 0.1): "
        "22 answers were lost and 0 gained"
    )


def test_a_slice_with_too_few_examples_is_shown_and_stops_nobody() -> None:
    report = judged({**WRECKED, "C": scores(38, 40), "D": scores(0, 5)})
    assert report.passed
    few = found(report, "D")
    assert (few.status, few.needed_n) == (Status.CANNOT_TELL, 10)
    gate = next(result for result in report.results if result.gate == SLICES)
    assert gate.reason == (
        "3 of 4 figures of slices were kept and none fell; 1 have too few examples to tell"
    )


def test_a_setting_lets_it_stop() -> None:
    after = {**WRECKED, "C": scores(38, 40), "D": scores(0, 5)}
    report = judged(after, replace(POLICY, slices_must_tell=True))
    assert report.stopped_by == SLICES
    assert "channel: D" in report.headline


def test_an_improvement_asked_for_in_a_slice_must_show_there() -> None:
    asked = replace(POLICY, improve_slices=("channel: C",))
    better = {**WRECKED, "C": scores(38, 40)}
    assert judged(better, asked).passed
    same = {**WRECKED, "C": BEFORE["C"]}
    assert judged(same).passed
    report = judged(same, asked)
    assert report.stopped_by == SLICES
    assert "an improvement was asked for" in report.headline


def test_an_improvement_asked_for_where_nobody_asked_anything_cannot_be_told() -> None:
    asked = replace(POLICY, improve_slices=("channel: Z",))
    report = judged({**WRECKED, "C": scores(38, 40)}, asked)
    assert found(report, "Z").status is Status.CANNOT_TELL
    assert report.passed
    assert not judged(
        {**WRECKED, "C": scores(38, 40)}, replace(asked, slices_must_tell=True)
    ).passed


def test_paraphrases_of_one_question_do_not_wreck_a_slice() -> None:
    before, after = sliced("a", BEFORE, per_group=40), sliced("b", WRECKED, per_group=40)
    report = decide(after, before, POLICY)
    assert found(report, "C").status is Status.CANNOT_TELL


def test_many_slices_do_not_fail_by_chance() -> None:
    """A fall that one slice alone would show is no news among forty."""
    names = [f"S{number}" for number in range(40)]
    before = {name: scores(20, 30) for name in names}
    after = {name: scores(28, 30) for name in names} | {"S0": scores(14, 30)}
    report = decide(sliced("b", after), sliced("a", before), POLICY)
    assert found(report, "S0").status is Status.CANNOT_TELL
    assert "chance could explain it" in found(report, "S0").reason
    two = {"S0": before["S0"], "S1": before["S1"]}
    alone = decide(sliced("b", {"S0": after["S0"], "S1": after["S1"]}), sliced("a", two), POLICY)
    assert found(alone, "S0").status is Status.FAIL


def test_what_every_question_belongs_to_is_no_slice() -> None:
    report = decide(
        sliced("b", {"A": scores(98, 100)}), sliced("a", {"A": scores(60, 100)}), POLICY
    )
    assert report.slices == ()
    assert [result.gate for result in report.results] == ["right"]


def test_graded_scores_of_a_slice_are_bootstrapped() -> None:
    keep = replace(POLICY, rules=(GateRule(metric="right", demand=Demand.KEEP),))
    before = {"A": [0.8] * 60, "B": [0.8] * 30}
    fallen = {"A": [0.9] * 60, "B": [0.5] * 30}
    report = decide(sliced("b", fallen), sliced("a", before), keep)
    assert found(report, "B").status is Status.FAIL
    assert found(report, "A").status is Status.PASS


def test_a_report_with_slices_survives_json() -> None:
    report = judged(WRECKED)
    assert GateReport.from_row(json.loads(json.dumps(report.to_row()))) == report
    model = sliced("a", BEFORE)
    assert Evaluation.from_row(json.loads(json.dumps(model.to_row()))) == model


def test_the_margin_of_slices_is_a_setting() -> None:
    assert GatePolicy().with_margins({SLICES: 0.3}).slice_margin == 0.3
    with pytest.raises(ConfigurationError, match="margin of gate slices"):
        GatePolicy(slice_margin=0)


def test_the_card_shows_every_slice_with_the_champion_beside_it() -> None:
    challenger, champion = sliced("challenger", WRECKED), sliced("champion", BEFORE)
    card = report_card(
        title="t",
        candidate=challenger,
        champion=champion,
        gates=decide(challenger, champion, POLICY),
    )
    first = card.slices[0]
    assert (first.found.slice, first.found.status) == ("channel: C", Status.FAIL)
    assert first.challenger is not None
    assert first.champion is not None
    assert (first.challenger.value, first.champion.value) == (0.05, 0.6)
    assert first.challenger.low < 0.05 < first.challenger.high
    text = render_markdown(card)
    assert "| channel: C | right | 5.0 % (1.4 % to 16.5 %) | 60.0 % (44.6 % to 73.7 %) | 40" in text
    html = render_html(card)
    assert "Slices" in html
    assert "channel: D" in html
    assert ":x: slices: 100.0 % to 75.0 %" in render_summary(card)


_pairs = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=90)


@given(_pairs, st.integers(0, 89), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_worse_answer_never_helps_a_slice(
    rows: list[tuple[bool, bool, bool]], at: int, per_group: int
) -> None:
    policy = replace(POLICY, rules=(GateRule(metric="right", demand=Demand.KEEP),))

    def model(name: str, values: list[float]) -> Evaluation:
        whole = evaluation(name, never_break=0, right=values)
        outcomes = tuple(
            replace(o, slices=(f"part: {part}",), group=f"g{i // per_group}")
            for i, (o, (_, _, part)) in enumerate(zip(whole.outcomes["right"], rows, strict=True))
        )
        return replace(whole, outcomes={"right": outcomes})

    champion = model("a", [float(old) for old, _, _ in rows])
    after = [float(new) for _, new, _ in rows]
    worse = [0.0 if i == at % len(after) else score for i, score in enumerate(after)]
    before = {s.slice: s.status for s in decide(model("b", after), champion, policy).slices}
    then = {s.slice: s.status for s in decide(model("c", worse), champion, policy).slices}
    assert before.keys() == then.keys()
    assert all(ORDER.index(then[name]) <= ORDER.index(before[name]) for name in before)
