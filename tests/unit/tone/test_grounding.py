import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.commands.tone import SAMPLE_STYLE
from feedback.tone import StyleGuide, grounded

PASSAGES = [
    (
        "Returns: Goods can be returned within 30 days of delivery. Refunds reach the card in "
        "five working days."
    ),
    "Quillharbor keeps 1,000 drafts for each Workspace; older drafts are archived.",
]


@pytest.mark.parametrize(
    "answer",
    [
        "You can return goods within 30 days of delivery.",
        "Refunds reach your card in 5 working days.",
        "Quillharbor archives older drafts; each workspace keeps 1000.",
        "1. Goods can be returned.\n2. Refunds reach the card.",
        "Yes.",
        "<PERSON_1>, refunds reach the card in five days.",
    ],
)
def test_supported(answer: str) -> None:
    result = grounded(answer, PASSAGES)
    assert result.supported, result


def test_a_new_number_is_unsupported() -> None:
    result = grounded("Goods can be returned within 60 days, or 2,000 drafts.", PASSAGES)
    assert not result.supported
    assert result.unsupported_numbers == ("60", "2000")


def test_a_new_name_is_unsupported() -> None:
    result = grounded("Refunds reach the card through Paywell in five working days.", PASSAGES)
    assert not result.supported
    assert result.unsupported_names == ("Paywell",)


def test_a_made_up_sentence_among_good_ones_is_unsupported() -> None:
    made_up = "Premium subscribers receive complimentary umbrellas."
    result = grounded(f"Goods can be returned within 30 days of delivery. {made_up}", PASSAGES)
    assert not result.supported
    assert result.weak_sentences == (made_up,)


def test_the_brand_s_greeting_claims_nothing() -> None:
    answer = "Happy to help! Goods can be returned within 30 days. Just ask if you need more."
    style = StyleGuide.load(SAMPLE_STYLE)
    assert grounded(answer, PASSAGES, boilerplate=style.required).claims == 1
    branded = "Warmest wishes from Team Zest. Goods can be returned within 30 days."
    assert not grounded(branded, PASSAGES).supported
    assert grounded(branded, PASSAGES, boilerplate=[re.compile("^Warmest wishes")]).supported


def test_what_the_question_says_may_be_repeated() -> None:
    answer = "Goods from Lisbon can be returned within 30 days."
    assert not grounded(answer, PASSAGES).supported
    assert grounded(answer, PASSAGES, question="I bought goods in Lisbon.").supported


def test_without_passages_every_claim_is_unsupported() -> None:
    assert not grounded("Goods can be returned within 30 days.", []).supported
    nothing = grounded("Happy to help!", [])
    assert (nothing.supported, nothing.score, nothing.claims) == (True, 1.0, 0)


@given(st.sampled_from([s for p in PASSAGES for s in re.split(r"(?<=\.) ", p)]))
def test_a_sentence_of_the_passages_is_always_supported(sentence: str) -> None:
    result = grounded(sentence, PASSAGES)
    assert result.supported
    assert result.score == 1.0


@given(st.text(), st.text())
def test_any_text_gets_a_verdict(answer: str, passage: str) -> None:
    result = grounded(answer, [passage])
    assert 0 <= result.score <= 1
    assert result.supported or result.claims > 0
