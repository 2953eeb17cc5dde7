"""A polite word is told from a question."""

import pytest

from bot.courtesy import is_courtesy


@pytest.mark.parametrize(
    "text",
    ["Thanks!", "thank you so much :pray:", "ok", "Great, that works", ":+1:", "Got it, thanks"],
)
def test_polite_words(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, and how do I import?",
        "ok?",
        "it is so much",
        "That works for CSV but not for PDF",
        "Great. Where is the menu",
        "no",
        "export",
    ],
)
def test_questions_and_answers(text: str) -> None:
    assert not is_courtesy(text)
