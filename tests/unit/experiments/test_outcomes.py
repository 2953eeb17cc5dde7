"""What a thread is worth: thumbs, their removal, corrections, several answers, maturity."""

from typing import Any

import numpy as np
import pytest

from feedback.errors import InvalidInputError
from retrain.experiments.events import ExperimentOpened, Scored, parse_event
from retrain.experiments.log import ExperimentLog
from retrain.experiments.state import fold

HOUR = 3600.0
W = 72 * HOUR
Row = dict[str, Any]


def log_of(*bodies: Row) -> ExperimentLog:
    rows: list[Row] = [
        {"ts": 0.0, "type": "experiment"},
        {"ts": 0.0, "type": "assigned", "thread": "t", "user": "asker", "arm": 1, "share": 0.5},
        {"ts": 0.0, "type": "delivered", "thread": "t", "answer": "a"},
        *bodies,
        {"ts": 2 * W, "type": "tick"},
    ]
    return ExperimentLog.of(
        parse_event({"id": f"e{seq}", "seq": seq, **row}) for seq, row in enumerate(rows)
    )


def outcome(*bodies: Row) -> float:
    return float(fold(log_of(*bodies))[0].outcome[0])


def vote(value: str | None, *, answer: str = "a", user: str = "u", at: float = HOUR) -> Row:
    return {
        "ts": at,
        "type": "feedback",
        "thread": "t",
        "answer": answer,
        "user": user,
        "value": value,
    }


def correct(*, answer: str = "a", user: str = "u", at: float = 2 * HOUR) -> Row:
    return {"ts": at, "type": "correction", "thread": "t", "answer": answer, "user": user}


def test_a_thumb_counts_and_the_last_one_of_a_person_wins() -> None:
    assert outcome(vote("up")) == 1.0
    assert outcome(vote("down")) == 0.0
    assert outcome(vote("up"), vote("down")) == 0.0
    assert outcome(vote("down"), vote("up")) == 1.0
    assert np.isnan(outcome(vote("up"), vote("none")))
    assert np.isnan(outcome(vote("up"), vote(None)))
    assert np.isnan(outcome())


def test_people_share_an_answer_and_answers_share_a_thread() -> None:
    assert outcome(vote("up", user="u"), vote("down", user="v")) == 0.5
    assert outcome(vote("up"), vote("down", answer="b"), vote("down", answer="c")) == (
        pytest.approx(1 / 3)
    )


def test_a_correction_counts_zero_whatever_thumbs_say() -> None:
    assert outcome(correct()) == 0.0
    assert outcome(vote("up"), correct()) == 0.0
    assert outcome(correct(at=HOUR), vote("up", at=2 * HOUR)) == 0.0
    assert outcome(vote("up"), vote("up", answer="b"), correct(answer="b")) == 0.5


def test_the_outcome_is_taken_once_at_maturity() -> None:
    assert outcome(vote("up", at=W - 1), vote("down", at=W)) == 1.0
    assert np.isnan(outcome(vote("up", at=W)))
    assert outcome(vote("up"), correct(at=W + HOUR)) == 1.0


def test_late_ratings_still_tell_that_people_answer() -> None:
    _threads, marks = fold(log_of(vote("up", at=W + HOUR)))
    assert marks.rated[:, 1:].tolist() == [[0, 1]]


def test_feedback_on_a_thread_outside_the_experiment_is_ignored() -> None:
    stray = vote("up") | {"thread": "other"}
    threads, marks = fold(log_of(stray))
    assert len(threads.arm) == 1
    assert marks.votes.size == 0


def test_a_thread_keeps_its_first_arm() -> None:
    again = {"ts": 1.0, "type": "assigned", "thread": "t", "user": "x", "arm": 0, "share": 0.5}
    threads, _marks = fold(log_of(again))
    assert threads.arm.tolist() == [1]


def test_a_missing_share_is_that_of_the_stage_in_force() -> None:
    rows = [
        {"ts": 1.0, "type": "stage", "stage": "RAMP", "share": 0.25},
        {"ts": 2.0, "type": "assigned", "thread": "s", "arm": 0},
    ]
    threads, _marks = fold(log_of(*rows))
    assert threads.share.tolist() == [0.5, 0.25]


def test_clock_that_steps_back_does_not_reopen_the_past() -> None:
    tick = {"ts": W + 5, "type": "tick"}
    assert np.isnan(outcome(tick, vote("up", at=HOUR)))


def test_events_outside_the_experiment_are_left_out() -> None:
    rows: list[Row] = [
        {"id": "a", "seq": 1, "ts": 0, "type": "assigned", "thread": "old", "arm": 0, "share": 0.5},
        {"id": "b", "seq": 2, "ts": 1, "type": "experiment"},
        {"id": "c", "seq": 3, "ts": 2, "type": "end"},
        {"id": "d", "seq": 4, "ts": 3, "type": "assigned", "thread": "new", "arm": 0, "share": 0.5},
    ]
    log = ExperimentLog.of(parse_event(row) for row in rows)
    assert [event.id for event in log.events] == ["b", "c"]


@pytest.mark.parametrize("count", [0, 2])
def test_a_log_holds_exactly_one_experiment(count: int) -> None:
    rows = [{"id": f"x{i}", "seq": i, "ts": 0, "type": "experiment"} for i in range(count)]
    with pytest.raises(InvalidInputError, match=f"found {count}"):
        ExperimentLog.of(parse_event(row) for row in rows)


BASE: Row = {"id": "1", "seq": 1, "ts": 0.0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"type": "tick", "seq": 1, "ts": 0}, "id must be text"),
        ({"type": "tick", "id": "1", "ts": 0}, "seq must be a whole number"),
        ({"type": "tick", "id": "1", "seq": "1", "ts": 0}, "seq must be a whole number"),
        ({"type": "tick", "id": "1", "seq": 1}, "ts must be a number"),
        ({"type": "tick", "id": "1", "seq": 1, "ts": float("nan")}, "ts must be a number"),
        (BASE | {"type": "party"}, "type 'party' is not one of"),
        (BASE | {"type": ["tick"]}, "is not one of"),
        (BASE | {"type": "assigned", "thread": "t", "arm": 2, "share": 0.5}, "arm must be"),
        (BASE | {"type": "assigned", "thread": "t", "arm": True, "share": 0.5}, "arm must be"),
        (BASE | {"type": "assigned", "thread": "t", "arm": 0, "share": 5}, "not from 0 to 1"),
        (BASE | {"type": "assigned", "arm": 0, "share": 0.5}, "thread must be text"),
        (BASE | {"type": "stage", "share": 0.5}, "stage must be text"),
        (BASE | {"type": "feedback", "thread": "t", "value": "meh"}, "value 'meh'"),
        (BASE | {"type": "feedback", "thread": "t", "value": ["up"]}, "not one of up, down"),
        (BASE | {"type": "scored", "thread": "t"}, "flags must be an object"),
        (BASE | {"type": "scored", "thread": "t", "flags": {"tone": "bad"}}, "true, false or null"),
        (BASE | {"type": "adapter_sha", "arm": 0}, "sha must be text"),
        (BASE | {"type": "experiment", "policy": {"x": 1}}, "unknown keys x"),
        (BASE | {"type": "experiment", "metrics": 3}, "metrics must be"),
        (BASE | {"type": "experiment", "arms": 3}, "arms must be"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: Row, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_event(row)


def test_arms_have_names_too() -> None:
    row = BASE | {"type": "assigned", "thread": "t", "arm": "challenger", "share": 0.5}
    assert parse_event(row) == parse_event(row | {"arm": 1})


def test_a_flag_that_nobody_knows_is_no_score() -> None:
    row = BASE | {"type": "scored", "thread": "t", "flags": {"tune": True, "slow": 0}}
    assert parse_event(row) == Scored(id="1", seq=1, ts=0.0, thread="t", slow=False)


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (None, ()),
        (["champion", "challenger"], ()),
        ([{"sha": "x"}, {"sha": "y"}], ((0, "x"), (1, "y"))),
        ({"challenger": {"sha": "y"}, "champion": {"sha": "x"}}, ((1, "y"), (0, "x"))),
        ({"old": {"sha": "x"}, "new": {"sha": "y"}}, ((0, "x"), (1, "y"))),
    ],
)
def test_adapters_named_at_the_start(arms: object, expected: tuple[tuple[int, str], ...]) -> None:
    event = parse_event(BASE | {"type": "experiment", "arms": arms})
    assert isinstance(event, ExperimentOpened)
    assert event.shas == expected
