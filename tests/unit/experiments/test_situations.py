"""The situations an experiment must survive, each as a simulated team (fixed seeds)."""

import random
from functools import cache
from typing import Any

import pytest

from retrain.experiments.decision import Analysis, Decision, decide, watch
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog
from tests.unit.experiments.company import DAY, Company

FOUR = ("tone", "ground", "error", "slow")


def better(arm: int, _day: float) -> float:
    return 0.88 if arm else 0.70


def alike(_arm: int, _day: float) -> float:
    return 0.70


@cache
def winning_log() -> ExperimentLog:
    return Company(days=14, per_day=200, rate=better).log()


def gates_of(decision: Decision) -> list[str]:
    return [gate.gate for gate in decision.waiting_for]


def test_a_better_challenger_is_promoted_and_not_before_day_ten() -> None:
    decision = decide(winning_log())
    assert decision.decision == "PROMOTE"
    assert 10.0 <= decision.day <= 12.0
    assert decision.evidence.low_one_sided > 0.0
    assert decision.waiting_for == ()


def test_enough_evidence_waits_for_its_gates_with_what_is_missing() -> None:
    log = winning_log()
    early = Analysis.of(log).at(int(sum(log.times < log.times[0] + 9.9 * DAY)))
    assert early.decision == "HOLD_duration"
    assert early.evidence.promote > 3.0
    assert early.waiting_for[0].needs["days"] == pytest.approx(0.1, abs=0.02)
    few = decide(Company(days=14, per_day=200, rate=better, policy={"min_delivered": 3000}).log())
    assert few.decision == "HOLD_samples"
    assert few.waiting_for[0].needs["challenger_delivered"] > 1000


def test_harm_is_stopped_early_and_a_person_never_sees_a_promotion() -> None:
    decision = decide(
        Company(days=14, per_day=200, rate=lambda arm, _d: 0.45 if arm else 0.7).log()
    )
    assert decision.decision == "REJECTED_HARM"
    assert decision.day < 7.0


def test_a_challenger_that_is_the_same_ends_as_futile() -> None:
    decision = decide(Company(days=28, per_day=200, rate=alike).log())
    assert decision.decision == "FUTILE"
    assert decision.evidence.futility_margin == pytest.approx(0.10)


def test_busy_teams_look_for_smaller_lifts() -> None:
    decision = decide(Company(days=8, per_day=510, rate=alike).log())
    assert decision.evidence.futility_margin == pytest.approx(0.05)


def test_a_lift_that_fades_is_not_promoted() -> None:
    company = Company(
        days=16,
        per_day=600,
        rate=lambda arm, day: 0.6 + (0.38 if arm and day < 4.0 else 0.0),
    )
    seen = {decision.decision for decision in _ticks(company.log())}
    assert "PROMOTE" not in seen
    assert "HOLD_recency" in seen  # the evidence of the first days alone would have done it


def test_drift_of_the_base_rate_during_the_ramp_promotes_nobody() -> None:
    for seed in range(5):
        company = Company(
            days=14, per_day=150, seed=seed, rate=lambda _arm, day: 0.5 + 0.4 * min(day / 5, 1.0)
        )
        assert decide(company.log()).decision != "PROMOTE"


def test_corrections_days_after_a_thumb_override_it() -> None:
    """Equal arms, but half of the champion's liked answers are corrected two days later."""
    company = Company(days=14, per_day=200, rate=lambda a, d: 0.9, corrected=(0.0, 0.6))
    decision = decide(company.log())
    assert decision.decision == "REJECTED_HARM"
    assert decision.evidence.harm > decision.evidence.harm_fast
    assert decision.counts[1].corrected > 0


def test_unhappy_people_who_fall_silent_are_missed() -> None:
    company = Company(
        days=14,
        per_day=300,
        rate=alike,
        rated=lambda arm, happy: 0.3 if happy or not arm else 0.05,
    )
    seen = {decision.decision for decision in _ticks(company.log())}
    assert "PROMOTE" not in seen
    assert "HOLD_response" in seen


def test_one_rater_cannot_carry_a_promotion() -> None:
    """A fan rates a third of all threads and always likes the challenger; the others see none."""

    def log() -> ExperimentLog:
        rows = Company(days=14, per_day=200, rate=alike, policy={"futility_from_day": 27}).rows()
        arms = {row["thread"]: row["arm"] for row in rows if row["type"] == "assigned"}
        rng = random.Random(3)
        for row in rows:
            if row["type"] == "feedback" and rng.random() < 0.34:
                row["user"] = "fan"
                row["value"] = "up" if arms[row["thread"]] else "down"
        return ExperimentLog.of([parse_event(row) for row in rows])

    seen = {decision.decision for decision in _ticks(log())}
    assert "PROMOTE" not in seen
    assert "HOLD_concentration" in seen


def test_a_brigade_in_one_thread_counts_once() -> None:
    company = Company(days=6, per_day=200, rate=alike)
    rows = company.rows()
    victim = next(r for r in rows if r["type"] == "assigned" and r["arm"] == 1)
    plain = decide(ExperimentLog.of([parse_event(row) for row in rows]))
    for number in range(60):
        rows.append(
            {
                "id": f"b{number}",
                "seq": len(rows),
                "ts": 1e9 + 6 * DAY,
                "type": "feedback",
                "thread": victim["thread"],
                "answer": f"a{victim['thread'][1:]}",
                "user": f"mob{number}",
                "value": "down",
            }
        )
    mobbed = decide(ExperimentLog.of([parse_event(row) for row in rows]))
    assert mobbed.decision == "NONE"
    assert mobbed.evidence.harm_fast < 3 + plain.evidence.harm_fast


@pytest.mark.parametrize("metric", FOUR)
def test_a_guardrail_stops_a_challenger_that_people_like(metric: str) -> None:
    bad = dict.fromkeys(FOUR, (0.02, 0.02)) | {metric: (0.04, 0.20)}
    decision = decide(Company(days=14, per_day=200, rate=better, bad=bad).log())
    assert decision.decision == f"REJECTED_GUARD:{metric}"


def test_answers_that_are_lost_with_notice_stop_it() -> None:
    company = Company(days=10, per_day=200, rate=better, undelivered=(0.01, 0.15))
    decision = decide(company.log())
    assert decision.decision == "REJECTED_GUARD:undelivered"


def test_answers_that_vanish_stop_it_too() -> None:
    decision = decide(Company(days=10, per_day=200, vanish=(0.0, 0.3), rate=better).log())
    assert decision.decision in {"REJECTED_GUARD:undelivered", "FREEZE_SRM"}
    assert decision.counts[1].undelivered > decision.counts[0].undelivered


def test_a_split_that_is_not_the_promised_one_freezes() -> None:
    """Every third challenger assignment is lost before it is written."""
    rows = Company(days=10, per_day=300, rate=better).rows()
    lost = {
        row["thread"]
        for number, row in enumerate(r for r in rows if r["type"] == "assigned" and r["arm"] == 1)
        if number % 3 == 0
    }
    kept = [row for row in rows if row.get("thread") not in lost]
    decision = decide(ExperimentLog.of([parse_event(row) for row in kept]))
    assert decision.decision == "FREEZE_SRM"
    assert "assigned" in decision.reason


def test_delivered_threads_have_a_split_of_their_own() -> None:
    """Lost in delivery before anybody calls it overdue: only the delivered split sees it."""
    policy = {"undelivered_seconds": 20 * DAY}
    company = Company(days=10, per_day=300, rate=better, vanish=(0.0, 0.4), policy=policy)
    decision = decide(company.log())
    assert decision.decision == "FREEZE_SRM"
    assert "delivered" in decision.reason


def test_an_adapter_file_that_changes_makes_it_invalid() -> None:
    rows = Company(days=6, per_day=100, rate=better).rows()
    for seq, sha in ((-3, "one"), (-2, "one"), (-1, "two")):
        at = rows[len(rows) // 2]["ts"]
        rows.insert(
            len(rows) // 2,
            {"id": f"sha{seq}", "seq": 0, "ts": at, "type": "adapter_sha", "arm": 1, "sha": sha},
        )
    middle = len(rows) // 2
    rows = [row | {"seq": number} for number, row in enumerate(rows)]
    decision = decide(ExperimentLog.of([parse_event(row) for row in rows]))
    assert decision.decision == "INVALID"
    assert decision.ts == pytest.approx(rows[middle]["ts"], abs=DAY)


def test_the_opening_may_name_the_adapters() -> None:
    rows: list[dict[str, Any]] = [
        {"id": "0", "seq": 0, "ts": 0, "type": "experiment", "arms": [{}, {"sha": "one"}]},
        {"id": "1", "seq": 1, "ts": 1, "type": "adapter_sha", "arm": 1, "sha": "one"},
    ]
    assert decide(ExperimentLog.of([parse_event(row) for row in rows])).decision == "NONE"
    rows.append({"id": "2", "seq": 2, "ts": 2, "type": "adapter_sha", "arm": 1, "sha": "two"})
    assert decide(ExperimentLog.of([parse_event(row) for row in rows])).decision == "INVALID"


def test_zero_traffic_holds_says_so_and_keeps_the_champion_in_the_end() -> None:
    log = Company(days=60, per_day=0, tick_hours=12).log()
    decisions = list(Analysis.of(log).every())
    first_day = decisions[1 + 3]
    assert first_day.decision == "NONE"
    assert gates_of(decisions[-1]) or decisions[-1].final
    assert any("traffic" in gates_of(decision) for decision in decisions)
    assert decisions[-1].decision == "INCONCLUSIVE"
    assert decisions[-1].day == pytest.approx(56.0)


def test_unknown_scores_hold_a_promotion() -> None:
    decision = decide(Company(days=14, per_day=200, rate=better, scorer_down_from=6.0).log())
    assert decision.decision == "HOLD_integrity"
    assert decision.waiting_for[0].needs["scores"] > 100


def test_the_end_without_evidence_keeps_the_champion() -> None:
    decision = decide(Company(days=5, per_day=50, end=True).log())
    assert decision.decision == "INCONCLUSIVE"
    assert "duration" in gates_of(decision)


def test_a_busy_team_times_out_after_28_days_and_a_quiet_one_after_56() -> None:
    policy = {"futility_from_day": 100}
    for per_day, day in ((110, 28.0), (20, 56.0)):
        company = Company(days=57, per_day=per_day, rate=alike, policy=policy, tick_hours=24)
        decision = decide(company.log())
        assert decision.decision == "INCONCLUSIVE"
        assert decision.day == pytest.approx(day)


def test_harm_while_a_promotion_waits_for_a_person() -> None:
    company = Company(
        days=24,
        per_day=200,
        rate=lambda arm, day: (0.88 if day < 10 else 0.2) if arm else 0.7,
    )
    assert decide(company.log()).decision == "PROMOTE"
    stopped = watch(company.log())
    assert stopped.decision == "REJECTED_HARM"
    assert stopped.day > 11.0
    assert watch(winning_log()).decision == "NONE"


def test_low_traffic_teams_can_promote_too() -> None:
    company = Company(
        days=40,
        per_day=40,
        policy="low_traffic",
        rate=lambda arm, _day: 0.92 if arm else 0.6,
        rated=lambda _arm, _happy: 0.4,
        stages=((0.0, "RAMP", 0.25), (2.0, "TEST", 0.5)),
    )
    assert decide(company.log()).decision == "PROMOTE"


def test_threads_that_were_not_drawn_are_left_out() -> None:
    rows = Company(days=3, per_day=50).rows()
    forced = [
        row | {"forced_reason": "freeze"} if row["type"] == "assigned" else row for row in rows
    ]
    decision = decide(ExperimentLog.of([parse_event(row) for row in forced]))
    assert decision.excluded == sum(row["type"] == "assigned" for row in rows)
    assert decision.counts[0].assigned == decision.counts[1].assigned == 0
    assert decision.counts[0].up == decision.counts[1].down == 0


def _ticks(log: ExperimentLog) -> list[Decision]:
    """Returns the decision after every tick."""
    analysis = Analysis.of(log)
    return [
        analysis.at(position)
        for position, event in enumerate(log.events)
        if type(event).__name__ == "Tick"
    ]
