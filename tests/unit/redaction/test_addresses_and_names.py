"""A name that runs into an address never takes a piece of the address."""

import pytest

from feedback.redaction import NameDirectory, Redactor


@pytest.mark.parametrize(
    "text", ["Ask Grace Lindqvist, grace@x.org.", "Grace Lindqvist, grace@example.org"]
)
def test_the_whole_address_is_found(text: str) -> None:
    redactor = Redactor(NameDirectory.from_names(["Grace Lindqvist"]))
    found = {text[span.start : span.end]: span.type for span in redactor.find(text)}
    address = next(word for word in text.split() if "@" in word).rstrip(".")
    assert found[address] == "EMAIL_ADDRESS"
    assert found["Grace"] == "PERSON"
    assert found["Lindqvist"] == "PERSON"
