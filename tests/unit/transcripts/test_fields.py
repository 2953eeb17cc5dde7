import pytest

from feedback.domain.interaction import Rating
from feedback.errors import InvalidInputError
from feedback.transcripts.fields import rating, seconds, to_record


def test_an_agent_desk_s_row() -> None:
    record = to_record(
        {
            "id": "star-1-0",
            "dialogue_id": 17,
            "ts": 1589286480,
            "agent_id": "a1",
            "customer_id": "c1",
            "question": "Hello",
            "draft_answer": "Hi",
            "final_answer": "Hello, how can I help?",
            "action_label": "hello",
        },
        number=1,
    )
    assert (record.id, record.thread_id, record.user_id) == ("star-1-0", "17", "a1")
    assert (record.question, record.answer) == ("Hello", "Hi")
    assert record.correction == "Hello, how can I help?"
    assert record.extra == {"customer_id": "c1", "action_label": "hello"}


def test_a_labelling_tool_s_row_without_id() -> None:
    record = to_record({"query": "q", "bot_answer": "a", "vote": "👎"}, number=7)
    assert (record.id, record.thread_id, record.answer) == ("row-7", "row-7", "a")
    assert record.rating is Rating.DOWN


def test_our_own_row_comes_back_as_it_was() -> None:
    row = {
        "id": "i1",
        "thread_id": "t1",
        "user_id": "u1",
        "ts": 5.0,
        "question": "q",
        "answer": "a",
        "correction": "c",
        "rating": "down",
        "reasons": ["wrong_fact"],
        "retrieved": [{"doc_id": "d", "score": 0.5, "chunk_id": "d#1"}],
        "arm": "champion",
        "team": "billing",
    }
    assert to_record(row, number=1).to_row() == row


def test_a_draft_sent_as_it_was_is_no_correction() -> None:
    row = {"question": "q", "draft_answer": "Same. ", "final_answer": "Same."}
    assert to_record(row, number=1).correction is None


def test_a_human_answer_alone_is_a_correction_of_nothing() -> None:
    record = to_record({"question": "q", "human_answer": "a"}, number=1)
    assert (record.answer, record.correction) == ("", "a")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"answer": "a"}, "no question"),
        ({"question": "q"}, "no answer"),
        ({"question": 5, "answer": "a"}, "'question' must be text"),
        ({"question": "q", "answer": "a", "rating": "meh"}, "rating 'meh'"),
        ({"question": "q", "answer": "a", "ts": "soon"}, "'soon' is no time"),
        ({"question": "q", "answer": "a", "ts": True}, "no time"),
    ],
)
def test_refused(row: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        to_record(row, number=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1589286480, 1589286480.0),
        ("1589286480.5", 1589286480.5),
        (1589286480000, 1589286480.0),
        ("2020-05-12T12:28:00Z", 1589286480.0),
        ("2020-05-12T14:28:00+02:00", 1589286480.0),
        ("2020-05-12 12:28", 1589286480.0),
    ],
)
def test_times(value: object, expected: float) -> None:
    assert seconds(value) == expected


def test_ratings() -> None:
    assert [rating(v) for v in ("+1", "Up", 1, True)] == ["up"] * 4
    assert [rating(v) for v in ("-1", "bad", 0, False)] == ["down"] * 4
    assert [rating(v) for v in (None, "", "neutral")] == [None] * 3
