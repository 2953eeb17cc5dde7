"""A bad row never stops a file; it is reported by line number."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from feedback.domain.interaction import InteractionRecord, Rating, Reason
from feedback.errors import InvalidInputError
from feedback.jsonl import dump, open_jsonl


def _name(row: Mapping[str, Any]) -> str:
    return str(row["name"])


def test_rows_and_problems(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"name": "a"}\n\nnot json\n[1]\n{"nom": "b"}\n{"name": "c"}\n')
    source = open_jsonl(str(path))
    assert list(source.rows(_name)) == ["a", "c"]
    assert [number for number, _ in source.problems] == [3, 4, 5]
    stream = io.StringIO()
    source.report(stream)
    assert f"{path}:5: missing key 'name'" in stream.getvalue()


def test_missing_file_names_the_remedy() -> None:
    with pytest.raises(InvalidInputError, match="give an existing JSONL file"):
        open_jsonl("/nowhere/rows.jsonl")


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n")
    source = open_jsonl(str(path))
    assert list(source.rows(_name)) == []
    with pytest.raises(InvalidInputError, match="no usable row"):
        source.require_rows()


def test_dump_keeps_unicode() -> None:
    assert dump({"a": "é"}) == '{"a":"é"}'


def test_interaction_rows() -> None:
    record = InteractionRecord.from_row(
        {
            "id": 7,
            "question": "Q?",
            "answer": "A",
            "correction": "B",
            "rating": "down",
            "reasons": ["too_cold"],
            "retrieved": [{"doc_id": "d", "score": 0.5}],
            "custom": 1,
        }
    )
    assert (record.id, record.thread_id, record.rating) == ("7", "7", Rating.DOWN)
    assert record.reasons == (Reason.TOO_COLD,)
    assert record.failed
    assert record.extra == {"custom": 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "Q", "answer": "A"}, "missing key 'id'"),
        ({"id": 1, "question": " ", "answer": "A"}, "'question' is empty"),
        ({"id": 1, "question": "Q", "answer": 3}, "'answer' must be text"),
        ({"id": 1, "question": "Q", "answer": "A", "rating": "meh"}, "rating 'meh' is not one of"),
        ({"id": 1, "question": "Q", "answer": "A", "ts": "noon"}, "seconds since the epoch"),
    ],
)
def test_bad_interaction_rows(row: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        InteractionRecord.from_row(row)


def test_an_unchanged_correction_is_no_failure() -> None:
    row = {"id": 1, "question": "Q", "answer": "A", "correction": "A ", "rating": "up"}
    assert not InteractionRecord.from_row(row).failed
