"""What counts as private, by kind, and what does not."""

import pytest

from feedback.domain.person import Person
from feedback.redaction import Member, NameDirectory, Redactor

PLAIN = Redactor()
# Tokens are assembled here so that no scanner takes this file for a leak.
SLACK_TOKEN = "xox" + "b-123456789012-abcdefABCDEF"
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def findings(text: str, redactor: Redactor = PLAIN) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in redactor.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mail me at eva.k+tag@mail.example.org.", ("EMAIL_ADDRESS", "eva.k+tag@mail.example.org")),
        ("reach me: eva [at] example [dot] org", ("EMAIL_ADDRESS", "eva [at] example [dot] org")),
        ("<mailto:eva@example.org|eva@example.org> said", None),
        ("card 4111 1111 1111 1111 expired", ("CREDIT_CARD", "4111 1111 1111 1111")),
        ("378282246310005 was declined", ("CREDIT_CARD", "378282246310005")),
        ("pay to DE89 3704 0044 0532 0130 00 now", ("IBAN_CODE", "DE89 3704 0044 0532 0130 00")),
        ("IBAN GB82WEST12345698765432.", ("IBAN_CODE", "GB82WEST12345698765432")),
        ("from 203.0.113.77 at night", ("IP_ADDRESS", "203.0.113.77")),
        ("from 2001:db8::8a2e:370:7334 too", ("IP_ADDRESS", "2001:db8::8a2e:370:7334")),
        ("mac 00:1B:44:11:3A:B7 seen", ("MAC_ADDRESS", "00:1B:44:11:3A:B7")),
        ("see https://x.example.org/a?b=1.", ("URL", "https://x.example.org/a?b=1")),
        ("see www.example.org/help!", ("URL", "www.example.org/help")),
        ("call +44 20 7946 0018 please", ("PHONE_NUMBER", "+44 20 7946 0018")),
        ("call (555) 010-4477 x12", ("PHONE_NUMBER", "(555) 010-4477 x12")),
        ("my mobile is 723 813 266", ("PHONE_NUMBER", "723 813 266")),
        ("SSN 078-05-1120", ("US_SSN", "078-05-1120")),
        ("my passport number is K1234567", ("US_PASSPORT", "K1234567")),
        ("account number: 00123456", ("US_BANK_NUMBER", "00123456")),
        ("born on 12 March 1984", ("DATE_TIME", "12 March 1984")),
        ("on 2026-03-04T10:20:30Z it broke", ("DATE_TIME", "2026-03-04T10:20:30Z")),
        ("due 03/04/2026", ("DATE_TIME", "03/04/2026")),
        ("it happened in 1984.", ("DATE_TIME", "1984")),
        ("send it to 221b Baker Street, thanks", ("STREET_ADDRESS", "221b Baker Street")),
        ("Ich wohne Hauptstraße 12a", ("STREET_ADDRESS", "Hauptstraße 12a")),
        ("au 12 Rue de la Paix", ("STREET_ADDRESS", "12 Rue de la Paix")),
        ("P.O. Box 1234", ("STREET_ADDRESS", "P.O. Box 1234")),
        ("ZIP: 75534-030", ("ZIP_CODE", "75534-030")),
        ("my name is anna lindqvist and", ("PERSON", "anna lindqvist")),
        ("My name is Xqzt Varblane.", ("PERSON", "Xqzt Varblane")),
        ("Please ask Dr. Varblane", ("PERSON", "Varblane")),
        ("It works.\n\nKind regards,\nXolani", ("PERSON", "Xolani")),
        ("I spoke with Katarzyna's team", ("PERSON", "Katarzyna")),
        ("kristina has the same problem", ("PERSON", "kristina")),
        ("signed by JOHN SMITH", ("PERSON", "JOHN SMITH")),
        ("written by Mary van der Berg yesterday", ("PERSON", "Mary van der Berg")),
        ("Hey Varblane, any news?", ("PERSON", "Varblane")),
    ],
)
def test_finds(text: str, expected: tuple[str, str] | None) -> None:
    found = findings(text)
    if expected is None:
        assert found == [("EMAIL_ADDRESS", "<mailto:eva@example.org|eva@example.org>")]
    else:
        assert found == [expected]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"use {SLACK_TOKEN} please", SLACK_TOKEN),
        (f"key {AWS_KEY}.", AWS_KEY),
        ("https://hooks.slack.com/services/T0/B0/abcDEF123456", None),
        ("ghp_" + "a1B2" * 9, None),
        ("github_pat_" + "a1B2" * 9, None),
        ("sk-proj-" + "a1B2" * 8, None),
        ("hf_" + "aBcD" * 9, None),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", None),
        ("AIza" + "a1B2" * 9, None),
        ("sk_live_" + "a1B2c3D4e5", None),
        ("postgresql://app:hunter2@db.internal:5432/app", None),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\n-----END RSA PRIVATE KEY-----", None),
        ("password: correct-horse", "correct-horse"),
        ("my password is hunter2!", "hunter2"),
        ('api_key="abc def"', "abc def"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None),
        ("curl -H 'Authorization: Bearer abcdef123456ghi'", "abcdef123456ghi"),
        ("my PIN is 4821", "4821"),
        ("the CVV 123 is refused", "123"),
    ],
)
def test_finds_secrets(text: str, secret: str | None) -> None:
    if secret is None:
        secret = text.split("=", 1)[1] if text.startswith("AWS") else text
    assert findings(text) == [("SECRET", secret)]


@pytest.mark.parametrize(
    "text",
    [
        "May I change my PIN? It may take 5 days in March.",
        "I need 3 boxes of 24 at $1,299.99 or 12.50 EUR.",
        "Order 113542617735902 and ticket 1234567 are late.",
        "Upgrade to version 10.2.3.4 or v2.0.1 of Quillharbor.",
        "Hi Team, thanks Everyone! Hello There.",
        "Mark the ticket as done and bill the customer in full, will you?",
        "The password reset link: does it expire? My password is not working.",
        "Forgot password? Token: invalid. The secret is out.",
        "I'm waiting; I've tried, and I'd like a refund. Hi, I'm new.",
        "My name is misspelled on the card. My last name is wrong.",
        "It took 3 days on the road and 24 hours in total.",
        "Open localhost at 127.0.0.1, mask 255.255.255.0.",
        "Use Chrome, Safari or Firefox on Windows 11 with 2048 MB.",
        "The ratio is 16:9 and the time 10:30; call this :: operator.",
        "Jenkins and Docker run on AWS in Virginia.",
        "Only 2 of 1000 users see error code 5040 since the change.",
    ],
)
def test_leaves_ordinary_support_text_alone(text: str) -> None:
    assert findings(text) == []


MEMBERS = Redactor(
    NameDirectory(
        [
            Member(id="U0ANNA01", names=("Anna Varblane", "anna.v")),
            Member(id="U0MARK01", names=("Mark May", "mark")),
            Member(id="U0JOSE01", names=("José Núñez",)),
        ]
    ),
    keep_mentions=["U0BOT001"],
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna varblane's ticket", ["anna varblane"]),
        ("VARBLANE, ANNA wrote", ["VARBLANE, ANNA"]),
        ("Anna K. Varblane wrote", ["Anna K. Varblane"]),
        ("anna said so", ["anna"]),
        ("Varblane's ticket", ["Varblane"]),
        ("jose nunez asked", ["jose nunez"]),
        ("@anna.v asked", ["anna.v"]),
        ("I told Mark yesterday", ["Mark"]),
        ("Thanks Mark", ["Mark"]),
        ("Mark the row, then mark it again in May", []),
        ("a varblane in lower case is any word", []),
        ("<@U0ANNA01> and <@U0XYZ999|zed> but not <@U0BOT001>", ["<@U0ANNA01>", "<@U0XYZ999|zed>"]),
        ("<#C0GENERAL|general> <!here>", []),
    ],
)
def test_finds_the_directory_in_every_spelling(text: str, expected: list[str]) -> None:
    assert [value for _, value in findings(text, MEMBERS)] == expected


def test_one_sure_name_vouches_for_its_neighbours_in_an_enumeration() -> None:
    found = findings("The founders are Xyzzy, Graves and Katarzyna.")
    assert [value for _, value in found] == ["Xyzzy", "Graves", "Katarzyna"]
    assert findings("We use Xyzzy, Graves and Firefox.") == []


def test_public_hosts_stay() -> None:
    redactor = Redactor(allowed_hosts=["docs.example.com"])
    text = "https://docs.example.com/a and <https://api.docs.example.com/b|b> and https://docs.example.com.evil.org/"
    assert [value for _, value in findings(text, redactor)] == [
        "https://docs.example.com.evil.org/"
    ]


def test_only_the_wanted_types_but_always_secrets() -> None:
    redactor = Redactor(entities=["EMAIL_ADDRESS"])
    text = f"anna@example.org 203.0.113.77 {SLACK_TOKEN}"
    assert [type_ for type_, _ in findings(text, redactor)] == ["EMAIL_ADDRESS", "SECRET"]


def test_a_secret_swallows_what_surrounds_it() -> None:
    text = f"https://example.org/x?token={SLACK_TOKEN}&a=1"
    assert findings(text) == [("SECRET", text)]


def test_directory_of_stored_people_and_of_slack_users() -> None:
    stored = NameDirectory.of(
        [
            Person(team="T1", user_id="U1", names=("Varblane", "")),
            Person(team="T1", user_id="UB", names=("Zyxbot",), is_bot=True),
        ]
    )
    slack = NameDirectory.from_slack(
        [
            {"id": "U1", "real_name": "Varblane", "profile": {"display_name": "vb"}},
            {"id": "UB", "real_name": "Zyxbot", "is_bot": True},
            {"id": "USLACKBOT", "real_name": "Slackbot"},
        ]
    )
    for directory in (stored, slack):
        assert directory.starting_with("varblane")
        assert not directory.starting_with("zyxbot")
    assert not slack.starting_with("slackbot")
