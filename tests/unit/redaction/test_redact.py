"""Placeholders: numbering, idempotence, reservation, what is remembered."""

import itertools
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedback.errors import ConfigurationError, InvalidInputError
from feedback.redaction import Member, NameDirectory, PlaceholderScope, Redactor

KEY = b"0123456789abcdef"
REDACTOR = Redactor(NameDirectory([Member(id="U0ANNA01", names=("Anna Varblane", "anna"))]))

PRIVATE = {
    "anna@mail.example.org": "EMAIL_ADDRESS",
    "Anna Varblane": "PERSON",
    "4111 1111 1111 1111": "CREDIT_CARD",
    "DE89370400440532013000": "IBAN_CODE",
    "203.0.113.77": "IP_ADDRESS",
    "+44 20 7946 0018": "PHONE_NUMBER",
    "078-05-1120": "US_SSN",
    "https://private.example.org/u/17": "URL",
    "2026-03-04": "DATE_TIME",
    "221b Baker Street": "STREET_ADDRESS",
    "xox" + "b-123456789012-abcdefABCDEF": "SECRET",
    "ghp_" + "a1B2" * 9: "SECRET",
}
FILLER = st.sampled_from(
    [
        "please check",
        "thanks",
        "the card is blocked",
        "Order 12",
        "?",
        "hm,",
        "\n",
        "and",
        "<b>",
        "<PERSON_3>",
    ]
)
TEXTS = st.lists(st.one_of(FILLER, st.sampled_from(sorted(PRIVATE))), max_size=12).map(" ".join)


def scope() -> PlaceholderScope:
    return PlaceholderScope(KEY)


def test_one_person_one_number_through_the_conversation() -> None:
    conversation = scope()
    texts = [
        "I am Anna Varblane, ask anna's boss Peter Smith",
        "<@U0ANNA01> mailed peter.smith@example.org",
        "PETER.SMITH@example.org again, and Peter Smith",
    ]
    assert [REDACTOR.redact(text, conversation).text for text in texts] == [
        "I am <PERSON_1>, ask <PERSON_1>'s boss <PERSON_2>",
        "<PERSON_1> mailed <EMAIL_ADDRESS_1>",
        "<EMAIL_ADDRESS_1> again, and <PERSON_2>",
    ]


def test_spans_are_of_the_input() -> None:
    text = "mail a@example.org or b@example.org"
    redaction = REDACTOR.redact(text, scope())
    assert [text[s.start : s.end] for s in redaction.spans] == ["a@example.org", "b@example.org"]
    assert redaction.counts() == {"EMAIL_ADDRESS": 2}


def test_typed_placeholders_are_kept_and_their_numbers_never_given_away() -> None:
    conversation = scope()
    first = REDACTOR.redact("<PERSON_1> is not Peter Smith", conversation)
    assert first.text == "<PERSON_1> is not <PERSON_2>"
    assert REDACTOR.redact("Anna Varblane", conversation).text == "<PERSON_3>"
    assert conversation.counts() == {"PERSON": 2}


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_nothing_planted_survives(text: str) -> None:
    redaction = REDACTOR.redact(text, scope())
    for value in PRIVATE:
        assert value not in redaction.text
    starts_and_ends = [position for s in redaction.spans for position in (s.start, s.end)]
    assert starts_and_ends == sorted(starts_and_ends)
    assert all(s.start < s.end for s in redaction.spans)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.text(max_size=40))
@example("Anna Varblane Anna\ue000Varblane", "<PERSON_1")
@example("Dear Anna Varblane Xyzzy,", "call 723 813 266 4111 1111 1111 1111")
def test_redacting_twice_changes_nothing(text: str, noise: str) -> None:
    conversation = scope()
    once = REDACTOR.redact(noise + text + noise, conversation).text
    assert REDACTOR.redact(once, conversation).text == once
    again = REDACTOR.redact(once, PlaceholderScope(b"another-key-of-16-bytes"))
    assert again.text == once
    assert again.spans == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(PRIVATE)), min_size=2, max_size=8))
def test_the_same_value_has_the_same_placeholder_and_different_values_differ(
    values: list[str],
) -> None:
    conversation = scope()
    given_out: dict[str, str] = {}
    for value in values:
        placeholder = REDACTOR.redact(value, conversation).text
        assert given_out.setdefault(value, placeholder) == placeholder
    for (left, a), (right, b) in itertools.combinations(given_out.items(), 2):
        both_secret = PRIVATE[left] == PRIVATE[right] == "SECRET"
        assert (a == b) is both_secret


def test_a_stored_scope_goes_on_and_holds_no_value() -> None:
    conversation = scope()
    secret = "xox" + "b-123456789012-abcdefABCDEF"
    REDACTOR.redact(f"Anna Varblane anna@mail.example.org {secret} <PERSON_4>", conversation)
    stored = json.dumps(conversation.to_row())
    assert "arblane" not in stored
    assert "example.org" not in stored
    assert "SECRET" not in stored
    later = PlaceholderScope.from_row(json.loads(stored), key=KEY)
    text = REDACTOR.redact("Anna Varblane, Peter Smith, Mary Jones, Ivana Novak", later).text
    assert text == "<PERSON_1>, <PERSON_2>, <PERSON_3>, <PERSON_5>"


def test_workspaces_and_keys_do_not_share_digests() -> None:
    rows = []
    for key, tenant in ((KEY, "T1"), (KEY, "T2"), (KEY[::-1], "T1")):
        conversation = PlaceholderScope(key, tenant=tenant)
        conversation.placeholder("PERSON", "Anna")
        rows.append(conversation.to_row()["numbers"]["PERSON"].popitem()[0])
    assert len(set(rows)) == 3


def test_a_short_key_and_a_broken_row_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="has 5 bytes"):
        PlaceholderScope(b"short")
    with pytest.raises(InvalidInputError, match="placeholder scope"):
        PlaceholderScope.from_row({"numbers": {"PERSON": ["x"]}}, key=KEY)


def test_a_finding_around_a_mask_character_is_taken_apart() -> None:
    text = "my password is hunter\ue0002!x and api_key=abc\ue000def9"
    redaction = REDACTOR.redact(text, scope())
    assert (
        redaction.text == "my password is <SECRET>\ue000<SECRET> and api_key=<SECRET>\ue000<SECRET>"
    )
    assert REDACTOR.redact(redaction.text, scope()).text == redaction.text


def test_a_text_with_half_a_character_is_redacted_too() -> None:
    text = "my name is Anna\ud800 Varblane"
    assert "Anna" not in REDACTOR.redact(text, scope()).text
