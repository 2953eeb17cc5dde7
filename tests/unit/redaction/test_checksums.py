import pytest

from feedback.redaction.checksums import iban, luhn


@pytest.mark.parametrize("digits", ["4111111111111111", "378282246310005", "6011111111111117"])
def test_luhn_catches_every_single_wrong_digit(digits: str) -> None:
    assert luhn(digits)
    for place, digit in enumerate(digits):
        for other in "0123456789":
            if other != digit:
                assert not luhn(digits[:place] + other + digits[place + 1 :])


def test_iban_wants_country_length_and_check_digits() -> None:
    assert iban("GB82 WEST 1234 5698 7654 32")
    assert not iban("GB82WEST12345698765423")
    assert not iban("GB82WEST1234569876543")
    assert not iban("ZZ82WEST12345698765432")
