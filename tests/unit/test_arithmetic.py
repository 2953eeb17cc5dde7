import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.arithmetic import (
    answers_rightly,
    asked_result,
    evaluate,
    false_statements,
    numbers_in,
    sums_in,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2+2=5", ["4"]),
        ("So 2 plus 2 is 5.", ["4"]),
        ("That is $5 * 3 = $16 a month.", ["15"]),
        ("(2+3)*4 = 21", ["20"]),
        ("7 = 3 + 5", ["7"]),
        ("12 divided by 4 equals 4", ["3"]),
        ("First 1 + 1 = 2, then 2 + 2 = 5.", ["4"]),
    ],
)
def test_false_statements_are_found(text: str, expected: list[str]) -> None:
    assert [statement.expected for statement in false_statements(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "2 + 2 = 4",
        "10/3 = 3.33",
        "1,000 + 2,500 = 3,500",
        "We are open 24/7 = always",
        "x = 5 and a + 2 + 3 = 9",
        "50% of 3 + 2 = 4",
        "Released 2024-05-01 = version 3",
        "This is 5 times faster than plan 3 - 2.",
        "Set retries=5 and timeout=30.",
        "2+2=4=4",
        "7 / 2 = 3",
        "",
    ],
)
def test_true_statements_and_other_text_are_left_alone(text: str) -> None:
    assert false_statements(text) == []


@pytest.mark.parametrize(
    ("question", "answer", "verdict"),
    [
        ("What is 2 + 2?", "5", False),
        ("What is 2 + 2?", "It's 4.", True),
        ("what is 5 + 0?", "5 + 0 = 7", False),
        ("how much is 3 times 4", "Twelve!", True),
        ("Can you add 3 and 4?", "3 and 4 make 7.", True),
        ("Can you add 3 and 4?", "That makes 8.", False),
        ("What is 23 plus 54?", "23 + 54 = 77. Ask me 2 more!", True),
        ("What is 40 minus 19?", "twenty-one", True),
        ("what is 7 + 5", "I do not know.", None),
        ("What is 24/7 support?", "5 people", None),
        ("Which plan has 3 seats?", "Plan 2", None),
    ],
)
def test_answers_to_sums(question: str, answer: str, verdict: bool | None) -> None:
    assert answers_rightly(question, answer) is verdict


@given(st.integers(0, 999), st.integers(0, 999), st.integers(-50, 50))
def test_every_wrong_sum_is_caught_and_no_right_one(a: int, b: int, error: int) -> None:
    statement = f"Sure: {a} + {b} = {a + b + error}."
    if a + b + error >= 0:
        assert bool(false_statements(statement)) == (error != 0)
        assert answers_rightly(f"What is {a} + {b}?", statement) is (error == 0)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    false_statements(text)
    numbers_in(text)
    sums_in(text)
    asked_result(text)


def test_expressions() -> None:
    assert evaluate("2 + 3 * 4") == 14
    assert evaluate("(2 + 3) * 4") == 20
    assert evaluate("1 / 0") is None
    assert evaluate("2 +") is None
    assert evaluate("import os") is None


def test_sums_are_listed_in_one_spelling() -> None:
    assert sums_in("What is 2 plus 2?") == ["2 + 2"]
    assert sums_in("So 2+2=5, and 2 + 2 = 4.") == ["2 + 2"]
