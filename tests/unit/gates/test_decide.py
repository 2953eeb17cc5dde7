import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.errors import ConfigurationError, InvalidInputError
from retrain.gates import Demand, GatePolicy, GateReport, GateRule, Status, decide
from tests.unit.gates.models import evaluation, scores

PERFECT = {
    metric: scores(200, 200)
    for metric in (
        *("instructions", "consistency", "to_the_point", "injection", "no_recital"),
        *("near_base", "generic_likelihood", "no_leak", "unseen"),
    )
}
BASE = evaluation(
    "base",
    **PERFECT,  # type: ignore[arg-type]
    right=scores(0, 200),
    on_brand=scores(0, 200),
    grounded=scores(190, 200),
    refusal=scores(200, 200),
    arithmetic=scores(200, 200),
    facts=scores(200, 200),
)
ORDER = [Status.FAIL, Status.CANNOT_TELL, Status.PASS]


def status(report: GateReport, gate: str) -> Status:
    return next(result.status for result in report.results if result.gate == gate)


def challenger(**changes: list[float]) -> GateReport:
    good = {
        "right": scores(160, 200),
        "on_brand": scores(190, 200),
        "grounded": scores(192, 200),
        "refusal": scores(199, 200),
        "arithmetic": scores(198, 200),
        "facts": scores(199, 200),
        "near_base": [1.0] * 3 + [0.93] * 197,
    }
    good = PERFECT | good
    candidate = evaluation("adapter", **(good | changes))  # type: ignore[arg-type]
    return decide(candidate, BASE, GatePolicy())


def test_a_good_challenger_passes_every_gate() -> None:
    report = challenger()
    assert report.passed
    assert report.stopped_by is None
    assert report.headline == "all 16 gates passed"


def test_forgotten_arithmetic_is_stopped_with_a_sentence() -> None:
    report = challenger(arithmetic=scores(142, 200))
    assert not report.passed
    assert report.stopped_by == "arithmetic"
    reason = next(r.reason for r in report.results if r.gate == "arithmetic")
    assert reason == (
        "arithmetic fell from 1.00 to 0.71 (n=200, margin 0.05): 58 answers were lost and 0 gained"
    )


def test_one_lost_never_break_item_stops_though_no_average_moved() -> None:
    facts = [0.0, *scores(199, 199)]
    report = challenger(facts=facts)
    assert status(report, "facts") is Status.PASS
    assert status(report, "never_break") is Status.FAIL
    assert report.stopped_by == "never_break"
    assert "'question facts 0'" in report.headline


def test_items_that_the_champion_never_had_cannot_be_lost() -> None:
    weak = replace(BASE, outcomes=BASE.outcomes)
    report = decide(evaluation("same", right=scores(0, 200)), weak, _only("right", Demand.KEEP))
    assert status(report, "never_break") is Status.PASS


def test_a_copy_of_the_champion_brings_no_improvement() -> None:
    report = decide(BASE, BASE, GatePolicy())
    assert [r.gate for r in report.results if r.status is Status.FAIL] == ["right", "on_brand"]


def test_a_champion_at_the_ceiling_need_only_be_matched() -> None:
    champion = evaluation("champion", on_brand=scores(190, 200))
    policy = _only("on_brand", Demand.IMPROVE, ceiling=0.9)
    assert decide(champion, champion, policy).passed


@pytest.mark.parametrize(
    ("metric", "right"),
    [
        ("refusal", 150),
        ("instructions", 150),
        ("consistency", 150),
        ("to_the_point", 150),
        ("injection", 150),
        ("no_recital", 150),
        ("near_base", 150),
        ("no_leak", 199),
        ("unseen", 199),
    ],
)
def test_every_other_skill_has_a_gate_of_its_own(metric: str, right: int) -> None:
    report = challenger(**{metric: scores(right, 200)[::-1]})
    failed = [r.gate for r in report.results if r.status is Status.FAIL and r.gate != "never_break"]
    assert failed == [metric]


def test_a_model_far_from_its_base_is_stopped_before_any_answer_shows_it() -> None:
    assert challenger(near_base=[0.61] * 200).stopped_by == "near_base"


def test_brand_without_knowledge_is_no_improvement() -> None:
    report = challenger(right=scores(0, 200))
    assert report.stopped_by == "right"


@pytest.mark.parametrize("demand", list(Demand))
def test_too_few_examples_never_pass(demand: Demand) -> None:
    policy = _only("right", demand)
    before = evaluation("a", right=scores(10, 29))
    after = evaluation("b", right=scores(29, 29))
    report = decide(after, before, policy)
    assert status(report, "right") is Status.CANNOT_TELL
    assert not report.passed
    assert report.results[0].needed_n == 30


def test_an_unmeasured_metric_cannot_be_told() -> None:
    report = decide(evaluation("a"), evaluation("b"), GatePolicy())
    assert {r.status for r in report.results} == {Status.CANNOT_TELL}
    assert report.stopped_by == "right"


def test_an_undecided_gate_says_how_many_more() -> None:
    before, after = evaluation("a", facts=scores(50, 50)), evaluation("b", facts=scores(50, 50))
    result = decide(after, before, _only("facts", Demand.KEEP)).results[0]
    assert result.status is Status.CANNOT_TELL
    assert result.needed_n is not None
    more = result.needed_n
    assert f"about {more - 50} more examples" in result.reason
    enough = decide(
        evaluation("b", facts=scores(more, more)),
        evaluation("a", facts=scores(more, more)),
        _only("facts", Demand.KEEP),
    )
    assert enough.passed


def test_a_surely_ruined_skill_fails_even_on_few_examples() -> None:
    before, after = evaluation("a", facts=scores(20, 20)), evaluation("b", facts=scores(2, 20))
    report = decide(after, before, _only("facts", Demand.KEEP))
    assert status(report, "facts") is Status.FAIL


def test_perfect_means_perfect() -> None:
    policy = _only("no_leak", Demand.PERFECT)
    clean = evaluation("a", no_leak=scores(300, 300))
    assert decide(clean, clean, policy).passed
    leaking = evaluation("b", no_leak=scores(299, 300))
    report = decide(leaking, clean, policy)
    assert status(report, "no_leak") is Status.FAIL
    assert "1 of 300 answers" in report.results[0].reason


def test_paraphrases_count_less_than_independent_questions() -> None:
    policy = _only("right", Demand.IMPROVE)
    before, after = scores(100, 200), scores(107, 200)
    alone = decide(evaluation("b", right=after), evaluation("a", right=before), policy)
    grouped = decide(
        evaluation("b", right=after, groups=10), evaluation("a", right=before, groups=10), policy
    )
    assert status(alone, "right") is Status.PASS
    assert status(grouped, "right") is Status.CANNOT_TELL


def test_graded_scores_are_bootstrapped() -> None:
    policy = _only("right", Demand.IMPROVE)
    before = evaluation("a", never_break=0, right=[0.4 + 0.002 * (i % 50) for i in range(100)])
    after = evaluation("b", never_break=0, right=[0.5 + 0.002 * (i % 50) for i in range(100)])
    relaxed = replace(policy, require_never_break=False)
    assert decide(after, before, relaxed).passed
    assert status(decide(before, after, relaxed), "right") is Status.FAIL


def test_different_examples_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="different examples"):
        decide(
            evaluation("a", right=scores(1, 40)), evaluation("b", right=scores(1, 41)), GatePolicy()
        )


def test_missing_never_break_items_block_unless_not_required() -> None:
    model = evaluation("a", never_break=0, facts=scores(100, 100))
    policy = _only("facts", Demand.KEEP)
    assert decide(model, model, policy).stopped_by == "never_break"
    assert decide(model, model, replace(policy, require_never_break=False)).passed


def test_reports_survive_json() -> None:
    report = challenger(arithmetic=scores(142, 200))
    assert GateReport.from_row(json.loads(json.dumps(report.to_row()))) == report


def test_impossible_policies_name_every_problem() -> None:
    with pytest.raises(ConfigurationError) as caught:
        GatePolicy(
            rules=(
                GateRule(metric="right", demand=Demand.KEEP, margin=0),
                GateRule(metric="right", demand=Demand.KEEP),
            ),
            alpha=0.7,
        )
    assert len(caught.value.problems) == 3


def test_margins_are_set_by_metric() -> None:
    policy = GatePolicy().with_margins({"facts": 0.1})
    assert {r.metric: r.margin for r in policy.rules}["facts"] == 0.1
    assert {r.metric: r.margin for r in policy.rules}["arithmetic"] == 0.05
    with pytest.raises(ConfigurationError, match="no gate looks at speed"):
        GatePolicy().with_margins({"speed": 0.1})


_outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120)


@given(_outcomes, st.sampled_from(list(Demand)), st.integers(0, 119), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_worse_answer_never_helps(
    pairs: list[tuple[bool, bool]], demand: Demand, at: int, grouped: bool
) -> None:
    before = [float(old) for old, _ in pairs]
    after = [float(new) for _, new in pairs]
    worse = [0.0 if index == at % len(after) else score for index, score in enumerate(after)]
    policy = _only("right", demand, ceiling=0.9)
    groups = 7 if grouped else None
    champion = evaluation("a", groups=groups, right=before)
    better_report = decide(evaluation("b", groups=groups, right=after), champion, policy)
    worse_report = decide(evaluation("c", groups=groups, right=worse), champion, policy)
    assert not (worse_report.passed and not better_report.passed)
    for gate in ("right", "never_break"):
        assert ORDER.index(status(worse_report, gate)) <= ORDER.index(status(better_report, gate))


@given(st.lists(st.floats(0, 1), min_size=30, max_size=60), st.integers(0, 59))
@settings(max_examples=30, deadline=None)
def test_a_worse_score_never_helps(values: list[float], at: int) -> None:
    policy = replace(_only("right", Demand.KEEP), require_never_break=False)
    champion = evaluation("a", never_break=0, right=[0.5] * len(values))
    lowered = [v / 2 if index == at % len(values) else v for index, v in enumerate(values)]
    better = decide(evaluation("b", never_break=0, right=values), champion, policy)
    worse = decide(evaluation("c", never_break=0, right=lowered), champion, policy)
    assert ORDER.index(status(worse, "right")) <= ORDER.index(status(better, "right"))


def _only(metric: str, demand: Demand, ceiling: float = 1.0) -> GatePolicy:
    return GatePolicy(rules=(GateRule(metric=metric, demand=demand, ceiling=ceiling),))
