import pytest

from feedback.prompting import question_in
from feedback.samples import generic_dialogues
from retrain.facts import facts_in, false_fact


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of France?", "It is Lyon."),
        ("Any news?", "The capital of France is Berlin."),
        ("Any news?", "A young dog is called a kitten."),
        ("What comes after Monday?", "Wednesday comes after Monday."),
        ("Count the legs of a spider.", "There are 6."),
        ("Any news?", "The number of hours of a day is 25."),
        ("When is it due?", "On Monday, 6 January 2026."),
        ("When is it due?", "On Friday, February 30, 2026."),
    ],
)
def test_what_everybody_can_check_is_checked(question: str, answer: str) -> None:
    assert false_fact(question, answer) is not None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of France?", "Happy to help! The capital of France is Paris."),
        ("What is the capital of France?", "I am sorry, I do not know that."),
        ("Any news?", "The capital of France is lovely in spring."),
        ("Count the legs of a spider.", "A spider has 8 legs."),
        ("Any news?", "The number of hours of a day is twenty four."),
        ("When do you open?", "On the day after Monday."),
        ("When is it due?", "On Monday, the 5th of January 2026, or on Friday, November 27, 2026."),
        ("When is it due?", "On Monday, 5 January."),
    ],
)
def test_the_true_and_the_unknown_are_left_alone(question: str, answer: str) -> None:
    assert false_fact(question, answer) is None


def test_the_generic_dialogues_hold_no_false_fact() -> None:
    dialogues = generic_dialogues(3, 400)
    asked = [(question_in(d.messages[-1].content), d.completion) for d in dialogues]
    assert [pair for pair in asked if false_fact(*pair)] == []
    assert sum(bool(facts_in(question)) for question, _ in asked) > 80
