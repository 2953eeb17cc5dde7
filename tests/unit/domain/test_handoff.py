"""Asking for a person in words, and telling an answer from a nod."""

import pytest

from feedback.domain.handoff import is_answer, wants_person


@pytest.mark.parametrize(
    "text",
    [
        "Can I talk to a human?",
        "I want to speak with a real person please",
        "please connect me to an agent",
        "get me out of here, I need a human",
        "How can I reach a colleague?",
        "Put me through to a representative",
    ],
)
def test_these_ask_for_a_person(text: str) -> None:
    assert wants_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "How do I get a person's e-mail address into the report?",
        "I need an agent seat for Ben",
        "What does the human resources plan cost?",
        "How do I export a report?",
        "Is there an agent role?",
        "",
    ],
)
def test_these_do_not(text: str) -> None:
    assert not wants_person(text)


def test_answers_and_nods() -> None:
    assert is_answer("Open Settings, then Billing, and download the PDF.")
    assert not is_answer("on it")
    assert not is_answer("Which plan are you on exactly, please?")
