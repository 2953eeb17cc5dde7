import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.text import normalise, sentence_spans, sentences, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Where's my   CARD?! ", "wheres my card"),
        ("where\u2019s my card", "wheres my card"),
        ("sign-in_page", "sign in page"),
        ("\uff21\uff22\uff23", "abc"),
        ("Stra\u00dfe", "strasse"),
        ("...", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text())
def test_normalise_is_idempotent_for_everything_people_type(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


def test_words_keep_numbers_and_contractions_whole() -> None:
    assert words("Don't pay 1,000.50 for the Sign-in, OK?") == [
        "don't",
        "pay",
        "1,000.50",
        "for",
        "the",
        "sign-in",
        "ok",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Ask Dr. Wu at 5 p.m. today. Bye.", ["Ask Dr. Wu at 5 p.m. today.", "Bye."]),
        ("Version 2.1 is out. Use it.", ["Version 2.1 is out.", "Use it."]),
        ("Steps:\n1. Open it.\n2. Save.", ["Steps:", "1. Open it.", "2. Save."]),
        ("First line\nsecond line", ["First line\nsecond line"]),
        ("Title\n\nBody", ["Title", "Body"]),
        ("Is it free? No. It costs 5.", ["Is it free?", "No.", "It costs 5."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet="aB1. \n?!-*"))
def test_sentence_spans_cover_every_visible_character_once(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))
