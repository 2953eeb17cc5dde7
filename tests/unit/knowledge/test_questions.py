import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feedback.knowledge.analysis import terms
from feedback.knowledge.questions import essence

WORDS = ["hi", "please", "the", "refund", "i", "want", "to", "know", "about", "a", "customer"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Hi team, why is my photo refused?", "why is my photo refused?"),
        ("A customer would like to know when invoices are sent. Thanks!", "when invoices are sent"),
        ("Could you please tell me how refunds work?", "how refunds work?"),
        ("Quick question: do drafts expire?", "do drafts expire?"),
        ("We are asked where our files live.", "where our files live."),
        ("Any news on the trial length?", "the trial length?"),
        ("I\u2019d like to know if it speaks German please", "if it speaks German"),
        ("How do I ask for a refund?", "How do I ask for a refund?"),
        ("Can guests check the calendar?", "Can guests check the calendar?"),
        ("hello", "hello"),
        ("thank you so much!", "thank you so much!"),
    ],
)
def test_frames_go_and_subjects_stay(question: str, expected: str) -> None:
    assert essence(question) == expected


@given(st.text())
def test_a_question_never_loses_all_its_terms(question: str) -> None:
    assert bool(terms(essence(question))) == bool(terms(question))


@given(st.lists(st.sampled_from(WORDS)))
@example(["hi", "please", "please"])
def test_taking_the_frame_off_twice_is_taking_it_off_once(words: list[str]) -> None:
    once = essence(" ".join(words))
    assert essence(once) == once
