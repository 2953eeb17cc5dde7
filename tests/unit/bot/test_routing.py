"""Who answers: the stored arm decides, and only proven adapters are asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.routing import choose, new_assignment, takes_part
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
    champion=OLD, experiment=EXPERIMENT, frozen=False,
)  # fmt: skip


def thread(ts: str = "1.0", started: datetime = START) -> Thread:
    return Thread(
        key=f"T:C:{ts}", team="T", channel="C", thread_ts=ts, started_by="U", started_at=started,
        placeholders={},
    )  # fmt: skip


def assigned(arm: Arm, *, forced: str | None = None) -> Assignment:
    return Assignment(
        experiment_id="e", thread_key="T:C:1.0", user_id="U", arm=arm, u=0.1, share=0.5,
        stage="RAMP", adapter_sha256=None, forced_reason=forced, assigned_at=START,
    )  # fmt: skip


def test_without_an_experiment_the_champion_answers_unassigned() -> None:
    turn = choose(replace(ROUTE, experiment=None), None, url="u", base_model="b")
    assert (turn.adapter, turn.arm, turn.experiment_id, turn.error) == (OLD, None, None, None)


def test_the_arm_decides_and_the_challenger_has_the_champion_behind_it() -> None:
    turn = choose(ROUTE, assigned(Arm.CHALLENGER), url="u", base_model="b")
    assert (turn.adapter, turn.fallback, turn.arm) == (NEW, OLD, Arm.CHALLENGER)
    assert (turn.share, turn.salt, turn.experiment_id) == (0.5, "s", "e")
    assert choose(ROUTE, assigned(Arm.CHAMPION), url="u", base_model="b").adapter == OLD


def test_an_unproven_challenger_is_not_asked_but_the_arm_stays() -> None:
    route = replace(ROUTE, served=frozenset({"old"}))
    turn = choose(route, assigned(Arm.CHALLENGER), url="u", base_model="b")
    assert (turn.adapter, turn.arm, turn.error) == (OLD, Arm.CHALLENGER, "AdapterNotServedError")


def test_an_unserved_champion_leaves_the_base_and_says_so() -> None:
    turn = choose(
        replace(ROUTE, served=frozenset(), experiment=None), None, url="u", base_model="b"
    )
    assert (turn.adapter, turn.error) == (None, "AdapterNotServedError")


def test_frozen_gives_everybody_the_champion() -> None:
    frozen = replace(ROUTE, frozen=True)
    turn = choose(frozen, assigned(Arm.CHALLENGER), url="u", base_model="b")
    assert (turn.adapter, turn.arm) == (OLD, Arm.CHALLENGER), "intention to treat"
    fresh = new_assignment(frozen, EXPERIMENT, thread(), "U", START)
    assert (fresh.arm, fresh.forced_reason) == (Arm.CHAMPION, "frozen")
    assert choose(frozen, fresh, url="u", base_model="b").arm is None


def test_paused_lets_no_new_thread_join_and_leaves_the_others_alone() -> None:
    paused = replace(ROUTE, experiment=replace(EXPERIMENT, paused=True))
    assert paused.experiment is not None
    fresh = [
        new_assignment(paused, paused.experiment, thread(f"{n}.0"), "U", START) for n in range(20)
    ]
    assert {(a.arm, a.forced_reason) for a in fresh} == {(Arm.CHAMPION, "paused")}
    joined = choose(paused, fresh[0], url="u", base_model="b")
    assert (joined.adapter, joined.arm, joined.experiment_id) == (OLD, None, None)
    before = choose(paused, assigned(Arm.CHALLENGER), url="u", base_model="b")
    assert (before.adapter, before.fallback, before.arm) == (NEW, OLD, Arm.CHALLENGER)


def test_older_threads_stay_out() -> None:
    assert takes_part(thread(), EXPERIMENT)
    assert not takes_part(thread(started=START - timedelta(seconds=1)), EXPERIMENT)


def test_about_the_share_of_threads_gets_the_challenger() -> None:
    arms = [
        new_assignment(ROUTE, EXPERIMENT, thread(f"{n}.0"), "U", START).arm for n in range(1000)
    ]
    assert 430 < arms.count(Arm.CHALLENGER) < 570
