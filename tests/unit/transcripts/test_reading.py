import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from feedback.errors import InvalidInputError
from feedback.redaction import Redactor
from feedback.transcripts import read_transcripts

KEY = b"0123456789abcdef"
REDACTOR = Redactor()


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def test_everything_is_redacted_before_it_leaves(tmp_path: Path) -> None:
    secret = "xox" + "b-123456789012-abcdefABCDEF"
    file = write_rows(
        tmp_path / "t.jsonl",
        {
            "id": "1",
            "thread_id": "t",
            "user": "anna@example.org",
            "question": "I am Anna Novak, anna@example.org",
            "answer": f"Thanks Anna Novak, use {secret}",
            "correction": "Dear Anna Novak, done.",
            "tags": ["call +44 20 7946 0018", {"mail": "anna@example.org"}],
        },
        {"id": "2", "thread_id": "t", "question": "Anna Novak again", "answer": "ok"},
    )
    result = read_transcripts(file, REDACTOR, key=KEY)
    first, second = result.records
    assert first.question == "I am <PERSON_1>, <EMAIL_ADDRESS_1>"
    assert first.answer == "Thanks <PERSON_1>, use <SECRET>"
    assert first.correction == "Dear <PERSON_1>, done."
    assert first.extra["tags"] == ["call <PHONE_NUMBER_1>", {"mail": "<EMAIL_ADDRESS_1>"}]
    assert second.question == "<PERSON_1> again"
    assert "@" not in first.user_id
    everything = repr(result)
    for private in ("Novak", "anna@", secret, "7946"):
        assert private not in everything
    assert result.findings == {"EMAIL_ADDRESS": 2, "PERSON": 4, "PHONE_NUMBER": 1, "SECRET": 1}
    assert result.placeholders.keys() == {"t"}


def test_bad_rows_are_named_by_line_and_duplicates_counted(tmp_path: Path) -> None:
    good = {"id": "1", "question": "q\u2028r", "answer": "a", "correction": "b"}
    file = write_rows(tmp_path / "t.jsonl", "{broken", good, good, {"question": "q"}, "[]")
    file.write_text(file.read_text().replace("\\u2028", "\u2028"))
    result = read_transcripts(file, REDACTOR)
    assert [where for where, _ in result.problems] == [f"{file}:{n}" for n in (1, 4, 5)]
    assert result.counts == {
        "rows": 5,
        "duplicates": 1,
        "records": 1,
        "conversations": 1,
        "people": 1,
        "answers": 1,
        "corrections": 1,
        "rated": 0,
        "bad": 3,
    }


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no usable row"):
        read_transcripts(write_rows(tmp_path / "t.jsonl", "{}"), REDACTOR)
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_transcripts(tmp_path / "absent.jsonl", REDACTOR)


USERS = [
    {"id": "U1", "name": "zyx", "profile": {"real_name": "Zyxia Varblane"}},
    {"id": "U2", "name": "bob", "profile": {"real_name": "Bob Quux"}},
    {"id": "U3", "name": "eve", "profile": {"real_name": "Eve Quux"}},
    {"id": "UB", "name": "helper", "is_bot": True},
]


def message(
    ts: str, user: str, text: str, thread: str | None = None, **more: object
) -> dict[str, object]:
    row = {"type": "message", "ts": ts, "user": user, "text": text, **more}
    return {**row, "thread_ts": thread} if thread else row


def export(path: Path, days: dict[str, Any], **files: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        lists: dict[str, object] = {"users": USERS, "channels": [{"name": "help"}], **files}
        for name, data in lists.items():
            archive.writestr(f"{name}.json", json.dumps(data))
        for name, data in days.items():
            archive.writestr(name, data if isinstance(data, str) else json.dumps(data))
    return path


def test_a_slack_export(tmp_path: Path) -> None:
    approved = [{"name": "white_check_mark", "count": 2}, {"name": "eyes", "count": 9}]
    day1 = [
        message(
            "100.0", "U1", "How do I reset it, <@U2>? See <#C1|general> &amp; ask zyxia", "100.0"
        ),
        message("101.0", "UB", "Restart it.", "100.0", bot_id="B1"),
        message("102.0", "U3", "No idea at all, sorry", "100.0"),
        message("103.0", "U1", "I asked before already myself", "100.0"),
        message("105.0", "U2", "joined", subtype="channel_join"),
        message("110.0", "U2", "Lunch is ready everybody", "110.0"),
        message("111.0", "U3", "On my way there", "110.0"),
        message("120.0", "U2", "Anyone here?"),
        message("130.0", "U2", "Does it work?", "130.0"),
        message("131.0", "U3", "yes", "130.0"),
    ]
    day2 = [message("104.0", "U2", "Hold the button, Zyxia Varblane.", "100.0", reactions=approved)]
    file = export(
        tmp_path / "e.zip",
        {
            "help/2026-01-01.json": day1,
            "help/2026-01-02.json": day2,
            "help/2026-01-03.json": "{broken",
            "secret-group/2026-01-01.json": [message("1.0", "U1", "How?", "1.0")],
            "help/canvas.json": [],
        },
    )
    result = read_transcripts(file, REDACTOR, key=KEY)
    (record,) = result.records
    assert record.question == "How do I reset it, <PERSON_1>? See #general & ask <PERSON_2>"
    assert record.answer == "Restart it."
    assert record.correction == "Hold the button, <PERSON_2>."
    assert (record.user_id, record.ts, record.id) == ("U1", 100.0, "slack-help-100.0")
    assert record.extra["approvals"] == 2
    assert record.extra["other_replies"] == ["No idea at all, sorry"]
    assert [where for where, _ in result.problems] == ["help/2026-01-03.json"]
    counts = result.counts
    assert (counts["messages"], counts["threads"], counts["questions"]) == (11, 3, 2)
    assert (counts["human_replies"], counts["interactions"], counts["bad"]) == (2, 1, 1)


def test_no_export_and_no_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.json", "[]")
    with pytest.raises(InvalidInputError, match=r"holds no channels\.json"):
        read_transcripts(tmp_path / "a.zip", REDACTOR)
    (tmp_path / "b.zip").write_text("no zip")
    with pytest.raises(InvalidInputError, match="no zip file"):
        read_transcripts(tmp_path / "b.zip", REDACTOR)
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_transcripts(tmp_path / "absent.zip", REDACTOR)
    with pytest.raises(InvalidInputError, match="holds no list"):
        read_transcripts(export(tmp_path / "c.zip", {}, users={"a": 1}), REDACTOR)
