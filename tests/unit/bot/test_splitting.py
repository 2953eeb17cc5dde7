"""Long answers as several posts: nothing is lost, nothing is torn."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.views.blocks import escape
from bot.slack.views.splitting import POST_CHARS, answer_parts

WORDS = st.text(string.ascii_letters + string.digits + "&<>.!?äß-*_", min_size=1, max_size=25)
LINKS = st.builds(
    "[{}](https://docs.example/{})".format, st.sampled_from(["the guide", "how to"]), WORDS
)
PROSE = st.lists(st.one_of(WORDS, LINKS), min_size=1, max_size=60).map(" ".join)
CODE_LINES = st.lists(
    st.text(string.ascii_letters + " ()=&<>", max_size=40).map(str.rstrip), max_size=25
)
CODE = st.builds(
    "{0}{1}\n{2}\n{0}".format,
    st.sampled_from(["```", "````", "~~~"]),
    st.sampled_from(["", "python", "sql"]),
    CODE_LINES.map("\n".join),
)
ROWS = st.lists(st.tuples(WORDS, WORDS).map(lambda row: f"| {row[0]} | {row[1]} |"), max_size=25)
TABLES = ROWS.map(lambda rows: "\n".join(["| Plan | Price |", "| --- | ---: |", *rows]))
ANSWERS = st.lists(st.one_of(PROSE, CODE, TABLES), min_size=1, max_size=8).map("\n\n".join)
LIMITS = st.sampled_from([300, 500, 1200])


def fences(text: str) -> list[str]:
    """Returns the runs that are still open after `text`."""
    open_run: list[str] = []
    for line in text.split("\n"):
        match = re.match(r"(`{3,}|~{3,})(.*)", line)
        if not match:
            continue
        run, rest = match.groups()
        if not open_run:
            open_run = [run]
        elif run[0] == open_run[0][0] and len(run) >= len(open_run[0]) and not rest.strip():
            open_run = []
    return open_run


def bare(text: str) -> str:
    """Returns what must survive: everything but white space, fences and repeated headers."""
    lines = [line for line in text.split("\n") if not re.match(r"`{3,}|~{3,}", line)]
    shown = [line for line in lines if line not in {"| Plan | Price |", "| --- | ---: |"}]
    return re.sub(r"\s+", "", "".join(shown))


@given(text=ANSWERS, limit=LIMITS)
def test_the_parts_joined_are_the_answer(text: str, limit: int) -> None:
    parts = answer_parts(text, limit)
    assert bare("\n".join(parts)) == bare(text)


@given(text=ANSWERS, limit=LIMITS)
def test_no_part_is_too_long_and_none_is_empty(text: str, limit: int) -> None:
    for part in answer_parts(text, limit):
        assert 0 < len(part) <= limit
        assert len(escape(part)) <= POST_CHARS


@given(text=ANSWERS, limit=LIMITS)
def test_every_part_closes_its_code(text: str, limit: int) -> None:
    for part in answer_parts(text, limit):
        assert fences(part) == []


@given(text=ANSWERS, limit=LIMITS)
def test_links_stay_whole(text: str, limit: int) -> None:
    link = r"\[[^\]]*\]\(https://docs\.example/[^)\s]*\)"
    joined = " ".join(answer_parts(text, limit))
    assert re.findall(link, joined) == re.findall(link, text)


@given(rows=st.lists(WORDS, min_size=30, max_size=60))
def test_every_part_of_a_table_is_a_table(rows: list[str]) -> None:
    head = "| Plan | Price |\n| --- | ---: |"
    text = "\n".join([head, *(f"| {row} | 1 |" for row in rows)])
    for part in answer_parts(text, 300):
        assert part.startswith(f"{head}\n| ")


@given(text=st.text(max_size=2000), limit=LIMITS)
def test_whatever_the_model_writes_is_kept(text: str, limit: int) -> None:
    parts = answer_parts(text, limit)
    kept = re.sub(r"\s+|[`~]", "", "".join(parts))
    assert kept == re.sub(r"\s+|[`~]", "", text)
    assert all(len(part) <= limit for part in parts)


@pytest.mark.parametrize("char", ["&", "<", "x"])
def test_text_without_a_place_to_cut_is_cut_all_the_same(char: str) -> None:
    text = char * 10_000
    parts = answer_parts(text)
    assert "".join(parts) == text
    assert max(len(escape(part)) for part in parts) <= POST_CHARS


def test_code_keeps_its_language_and_indentation() -> None:
    code = "\n".join(f"    if step == {n}:\n        go({n})" for n in range(40))
    parts = answer_parts(f"Run this:\n\n```python\n{code}\n```\n\nDone.", 400)
    assert all(part.startswith("```python\n    ") for part in parts[1:-1])
    inner = [re.sub(r"^```.*\n?", "", part, flags=re.MULTILINE) for part in parts]
    assert code in "\n".join(piece.strip("\n") for piece in inner)


def test_paragraphs_are_cut_between_rather_than_inside() -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 30 for n in range(20))
    assert all(part.startswith("Paragraph ") for part in answer_parts(text, 1000))


def test_a_link_longer_than_its_place_goes_to_the_next_part() -> None:
    address = "https://docs.example/" + "a" * 250
    parts = answer_parts("x" * 200 + address, 300)
    assert parts == ["x" * 200, address]
