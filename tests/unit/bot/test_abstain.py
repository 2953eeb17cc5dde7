"""The honest "I don't know" is conservative."""

import pytest

from bot.abstain import NEAR_SUBJECT, decide_abstain
from feedback.domain.knowledge import Hit, SearchResult, Signals

HIT = Hit(doc_id="d", chunk_id="c", score=0.3, title="t", heading="", text="x", uri="")


def found(
    probability: float, *, answerable: bool = False, hits: tuple[Hit, ...] = (HIT,)
) -> SearchResult:
    return SearchResult(hits=hits, answerable=answerable, signals=Signals(probability=probability))


def test_what_the_documents_answer_is_always_answered() -> None:
    assert not decide_abstain(found(0.9, answerable=True), "Press it.", grounded=False)
    assert not decide_abstain(found(0.9, answerable=True), "I'm not sure, press it.", grounded=True)


@pytest.mark.parametrize("answer", ["4", "Paris is the capital.", "You're welcome!"])
def test_small_talk_and_general_facts_are_left_to_the_model(answer: str) -> None:
    assert not decide_abstain(SearchResult(), answer, grounded=None)
    assert not decide_abstain(found(NEAR_SUBJECT / 2), answer, grounded=False)


def test_near_the_subject_only_supported_answers_pass() -> None:
    assert decide_abstain(found(0.45), "Press the red button.", grounded=False)
    assert decide_abstain(found(0.45), "Press the red button.", grounded=None)
    assert not decide_abstain(found(0.45), "Press x.", grounded=True)


@pytest.mark.parametrize("answer", ["I don't know.", "Sorry, I\u2019m not sure.", "", "  "])
def test_a_model_that_does_not_know_hands_over(answer: str) -> None:
    assert decide_abstain(SearchResult(), answer, grounded=None)
