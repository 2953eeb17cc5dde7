"""Who answers: the stored arm decides, and only proven adapters are asked."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.routing import OTHER_CHALLENGER, choose, joinable, new_assignments
from feedback.domain.interaction import Arm
from feedback.domain.rollout import ActiveExperiment, AdapterRef, Assignment, Route
from feedback.store.conversations import Thread

START = datetime(2026, 3, 1, tzinfo=UTC)
OLD, NEW = AdapterRef(id="old", sha256="o"), AdapterRef(id="new", sha256="n")
EXPERIMENT = ActiveExperiment(
    id="e", salt="s", stage="RAMP", share=0.5, challenger=NEW, champion=OLD, joined_from=START
)
ROUTE = Route(
    url="http://m", base_model="base", template_sha256="t", served=frozenset({"old", "new"}),
    champion=OLD, experiments=(EXPERIMENT,), frozen=False,
)  # fmt: skip


def thread(ts: str = "1.0", started: datetime = START) -> Thread:
    return Thread(
        key=f"T:C:{ts}", team="T", channel="C", thread_ts=ts, started_by="U", started_at=started,
        placeholders={},
    )  # fmt: skip


def assigned(arm: Arm, *, forced: str | None = None) -> Assignment:
    return Assignment(
        experiment_id="e", thread_key="T:C:1.0", user_id="U", arm=arm, u=0.1, share=0.5,
        stage="RAMP", adapter_sha256=None, forced_reason=forced, salt="s", assigned_at=START,
    )  # fmt: skip


def test_without_an_experiment_the_champion_answers_unassigned() -> None:
    turn = choose(replace(ROUTE, experiments=()), (), url="u", base_model="b")
    assert (turn.adapter, turn.arm, turn.experiment_id, turn.error) == (OLD, None, None, None)


def test_the_arm_decides_and_the_challenger_has_the_champion_behind_it() -> None:
    turn = choose(ROUTE, [assigned(Arm.CHALLENGER)], url="u", base_model="b")
    assert (turn.adapter, turn.fallback, turn.arm) == (NEW, OLD, Arm.CHALLENGER)
    assert (turn.share, turn.salt, turn.experiment_id) == (0.5, "s", "e")
    assert choose(ROUTE, [assigned(Arm.CHAMPION)], url="u", base_model="b").adapter == OLD


def test_an_unproven_challenger_is_not_asked_but_the_arm_stays() -> None:
    route = replace(ROUTE, served=frozenset({"old"}))
    turn = choose(route, [assigned(Arm.CHALLENGER)], url="u", base_model="b")
    assert (turn.adapter, turn.arm, turn.error) == (OLD, Arm.CHALLENGER, "AdapterNotServedError")


def test_an_unserved_champion_leaves_the_base_and_says_so() -> None:
    turn = choose(replace(ROUTE, served=frozenset(), experiments=()), (), url="u", base_model="b")
    assert (turn.adapter, turn.error) == (None, "AdapterNotServedError")


def test_frozen_gives_everybody_the_champion() -> None:
    frozen = replace(ROUTE, frozen=True)
    turn = choose(frozen, [assigned(Arm.CHALLENGER)], url="u", base_model="b")
    assert (turn.adapter, turn.arm) == (OLD, Arm.CHALLENGER), "intention to treat"
    (fresh,) = new_assignments(frozen, [EXPERIMENT], thread(), "U", START)
    assert (fresh.arm, fresh.forced_reason) == (Arm.CHAMPION, "frozen")
    assert choose(frozen, [fresh], url="u", base_model="b").arm is None


def test_paused_lets_no_new_thread_join_and_leaves_the_others_alone() -> None:
    held = replace(EXPERIMENT, paused=True)
    paused = replace(ROUTE, experiments=(held,))
    fresh = [
        row
        for n in range(20)
        for row in new_assignments(paused, [held], thread(f"{n}.0"), "U", START)
    ]
    assert {(a.arm, a.forced_reason) for a in fresh} == {(Arm.CHAMPION, "paused")}
    joined = choose(paused, fresh[:1], url="u", base_model="b")
    assert (joined.adapter, joined.arm, joined.experiment_id) == (OLD, None, None)
    before = choose(paused, [assigned(Arm.CHALLENGER)], url="u", base_model="b")
    assert (before.adapter, before.fallback, before.arm) == (NEW, OLD, Arm.CHALLENGER)


def test_older_threads_stay_out() -> None:
    assert joinable(thread(), ROUTE) == [EXPERIMENT]
    assert joinable(thread(started=START - timedelta(seconds=1)), ROUTE) == []


def test_about_the_share_of_threads_gets_the_challenger() -> None:
    arms = [
        row.arm
        for n in range(1000)
        for row in new_assignments(ROUTE, [EXPERIMENT], thread(f"{n}.0"), "U", START)
    ]
    assert 430 < arms.count(Arm.CHALLENGER) < 570


RIVAL = replace(EXPERIMENT, id="f", salt="other", challenger=AdapterRef(id="newer", sha256="r"))
BOTH = replace(ROUTE, experiments=(EXPERIMENT, RIVAL), served=frozenset({"old", "new", "newer"}))


def test_two_challengers_share_one_draw() -> None:
    seen: Counter[AdapterRef | None] = Counter()
    for n in range(999):
        rows = new_assignments(BOTH, BOTH.experiments, thread(f"{n}.0"), "U", START)
        assert [(row.experiment_id, row.salt) for row in rows] == [("e", "s"), ("f", "s")]
        turn = choose(BOTH, rows, url="u", base_model="b")
        seen[turn.adapter] += 1
        if turn.arm is Arm.CHAMPION:
            assert [row.forced_reason for row in rows] == [None, None], "it counts in both"
            assert turn.experiment_id == "e"
        else:
            mine = next(row for row in rows if row.forced_reason is None)
            other = next(row for row in rows if row.forced_reason is not None)
            assert (mine.experiment_id, mine.arm) == (turn.experiment_id, Arm.CHALLENGER)
            assert (other.forced_reason, other.arm) == (OTHER_CHALLENGER, Arm.CHAMPION)
            assert turn.fallback == OLD
        for row in rows:
            if row.forced_reason is None:
                assert (row.u < row.share) is (row.arm is Arm.CHALLENGER)
    assert all(280 < count < 390 for count in seen.values()), seen


def test_a_paused_one_leaves_the_draw_to_the_other() -> None:
    held = replace(BOTH, experiments=(replace(EXPERIMENT, paused=True), RIVAL))
    arms: Counter[Arm] = Counter()
    for n in range(400):
        first, second = new_assignments(held, held.experiments, thread(f"{n}.0"), "U", START)
        assert (first.arm, first.forced_reason) == (Arm.CHAMPION, "paused")
        assert second.forced_reason is None
        arms[second.arm] += 1
    assert 150 < arms[Arm.CHALLENGER] < 250, "half of the threads, not a third"


def test_when_one_experiment_ends_its_threads_count_for_the_other_only_where_they_may() -> None:
    left = replace(BOTH, experiments=(RIVAL,))
    for n in range(50):
        rows = new_assignments(BOTH, BOTH.experiments, thread(f"{n}.0"), "U", START)
        before = choose(BOTH, rows, url="u", base_model="b")
        after = choose(left, rows, url="u", base_model="b")
        if before.adapter == NEW:
            assert (after.adapter, after.arm) == (OLD, None), "it met a challenger that is gone"
        else:
            assert (after.adapter, after.arm) == (before.adapter, before.arm)
            assert after.experiment_id == "f"
