import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.mining.changes import change_between, contradicts, exact_facts


@pytest.mark.parametrize(
    ("answer", "correction", "kind"),
    [
        ("The limit is 5 GB.", "The limit is 10 GB.", "facts"),
        ("See https://a.example/x.", "See https://a.example/y.", "facts"),
        ("Press the blue lever twice.", "Ask the owner of the workspace.", "facts"),
        (
            "Open the settings page.",
            "Open the settings page, choose Security and press Reset password.",
            "missing",
        ),
        ("Exports stay ready.", "Exports stay ready for 45 days.", "missing"),
        ("anything else?", "Is there anything else that I can do for you?", "tone"),
        (
            "Invoices leave on Monday.",
            "Happy to help! Invoices leave on Monday. Just ask if you need more.",
            "tone",
        ),
        ("one, two; three", "- One\n- Two\n- Three", "format"),
    ],
)
def test_names_what_a_correction_changed(answer: str, correction: str, kind: str) -> None:
    change = change_between(answer, correction)
    assert change is not None
    named = {name for name in ("facts", "missing", "tone", "format") if getattr(change, name)}
    assert named == {kind}


@given(st.text(), st.text())
def test_exactly_one_kind_unless_nothing_changed(answer: str, correction: str) -> None:
    change = change_between(answer, correction)
    if answer.strip() == correction.strip():
        assert change is None
    else:
        assert change is not None
        assert change.facts + change.missing + change.tone + change.format == 1


def test_length_ratio_counts_words() -> None:
    change = change_between("one two", "one two three four")
    assert change is not None
    assert change.length_ratio == 2.0


def test_exact_facts_are_numbers_and_links() -> None:
    text = "From 9:30 pay 1,000 coins at https://pay.example/v2."
    assert exact_facts(text) == {"9:30", "1,000", "https://pay.example/v2"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You have 14 days.", "You have 30 days."),
        ("Yes, that works on phones.", "No, phones are not supported."),
        ("Guests can share files with others.", "Guests cannot share files with others."),
    ],
)
def test_answers_that_cannot_both_be_right(one: str, other: str) -> None:
    assert contradicts(one, other)
    assert contradicts(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You have 14 days.", "You have 14 days, counted from the mail."),
        ("Press Save.", "press save"),
        ("Open the settings page.", "Happy to help! Open the settings page."),
    ],
)
def test_the_same_answer_in_other_words_is_no_contradiction(one: str, other: str) -> None:
    assert not contradicts(one, other)


def test_unrelated_answers_contradict_only_when_their_meaning_is_known_to_differ() -> None:
    one, other = "Press the blue lever.", "Call the harbour office."
    assert not contradicts(one, other)
    assert contradicts(one, other, cosine=0.1)
    assert not contradicts(one, other, cosine=0.8)


@given(st.text(), st.text(), st.none() | st.floats(-1, 1))
def test_contradiction_is_symmetric_and_never_reflexive(
    one: str, other: str, cosine: float | None
) -> None:
    assert contradicts(one, other, cosine=cosine) == contradicts(other, one, cosine=cosine)
    assert not contradicts(one, one, cosine=cosine)
