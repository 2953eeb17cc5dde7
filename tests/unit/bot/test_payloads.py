"""What Slack may send, read without a Slack."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.payloads import (
    DeletedMessage,
    EditedMessage,
    HomeOpened,
    Identity,
    Question,
    Thumb,
    is_own,
    parse,
    plain_text,
)
from bot.slack.storing import to_delivery
from feedback.domain.interaction import Rating

BOT = Identity(team="T1", user_id="UBOT", bot_id="BBOT")


def body(event: dict[str, Any], event_id: str = "Ev1") -> dict[str, Any]:
    return {
        "type": "event_callback",
        "token": "secret",
        "team_id": "T1",
        "event_id": event_id,
        "authorizations": [{"user_id": "UBOT"}],
        "event": event,
    }


def message(**extra: object) -> dict[str, Any]:
    return {"type": "message", "channel": "C1", "ts": "1.5", "user": "U1", "text": "hi", **extra}


def read(event: dict[str, Any]) -> object:
    return parse(to_delivery(body(event), 0.0).payload)


def test_twins_share_the_question_key_and_not_the_event_id() -> None:
    first = to_delivery(body(message(), "Ev1"), 0.0)
    twin = to_delivery(body(message(type="app_mention"), "Ev2"), 0.0)
    assert first.question_key == twin.question_key == "T1:C1:1.5"
    assert first.event_id != twin.event_id
    assert first.thread_key == "T1:C1:1.5"


def test_the_verification_token_is_not_stored() -> None:
    assert "secret" not in json.dumps(dict(to_delivery(body(message()), 0.0).payload))


def test_a_reply_belongs_to_its_thread() -> None:
    delivery = to_delivery(body(message(thread_ts="1.0")), 0.0)
    assert delivery.thread_key == "T1:C1:1.0"


def test_edits_and_deletions_are_no_questions() -> None:
    edit = body(message(subtype="message_changed", message=message(text="new")))
    gone = body(
        {"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": "1.5",
         "previous_message": message(), "ts": "2.0"}
    )  # fmt: skip
    assert to_delivery(edit, 0.0).question_key is None
    # They overtake their question, and are worked on in order among themselves.
    assert to_delivery(edit, 0.0).thread_key == "T1:C1:1.5:changes"
    assert to_delivery(gone, 0.0).thread_key == "T1:C1:1.5:changes"


def test_a_question_is_read() -> None:
    assert read(message(text="<@UBOT> help", thread_ts="1.0")) == Question(
        team="T1", channel="C1", ts="1.5", thread_ts="1.0", user="U1", text="<@UBOT> help",
        direct=False, mentioned=True, names_others=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "direct", "mentioned", "names_others"),
    [
        ({"channel_type": "im", "channel": "D1"}, True, False, False),
        ({"text": "hi <@U2>"}, False, False, True),
        ({"text": "hi <@U2> and <@UBOT>"}, False, True, False),
        ({"type": "app_mention"}, False, True, False),
    ],
)
def test_who_is_meant(
    extra: dict[str, Any], direct: bool, mentioned: bool, names_others: bool
) -> None:
    found = read(message(**extra))
    assert isinstance(found, Question)
    assert (found.direct, found.mentioned, found.names_others) == (direct, mentioned, names_others)


@pytest.mark.parametrize(
    "event",
    [
        message(bot_id="B2"),
        message(subtype="bot_message"),
        message(subtype="channel_join"),
        message(user=None),
        {"type": "reaction_added", "reaction": "eyes", "item": {"type": "message"}},
        {"type": "member_joined_channel"},
    ],
)
def test_what_concerns_nobody_here(event: dict[str, Any]) -> None:
    assert read(event) is None


def test_edits_deletions_reactions_and_homes_are_read() -> None:
    edited = message(subtype="message_changed", message=message(text="new"),
                     previous_message=message(text="old"))  # fmt: skip
    found = read(edited)
    assert isinstance(found, EditedMessage)
    assert (found.team, found.channel, found.ts, found.text) == ("T1", "C1", "1.5", "new")
    unfurled = edited | {"previous_message": message(text="new")}
    assert read(unfurled) is None, "an unfurled link is no edit"
    buried = edited | {"message": message(subtype="tombstone")}
    assert read(buried) == DeletedMessage(team="T1", channel="C1", ts="1.5")
    thumb = {"type": "reaction_removed", "user": "U1", "reaction": "+1::skin-tone-2",
             "item": {"type": "message", "channel": "C1", "ts": "1.5"}, "item_user": "UBOT",
             "event_ts": "9.5"}  # fmt: skip
    assert read(thumb) == Thumb(
        team="T1", channel="C1", ts="1.5", user="U1", author="UBOT", rating=Rating.UP,
        added=False, event_ts=9.5,
    )  # fmt: skip
    assert read({"type": "app_home_opened", "user": "U1", "tab": "home"}) == HomeOpened(
        team="T1", user="U1", tab="home"
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "event_callback"},
        {"type": "event_callback", "event_id": "Ev1", "event": "text"},
        {"type": "event_callback", "event_id": "Ev1", "event": {"type": "message"}},
        {"type": "event_callback", "event": message()},
        {"type": "something_new"},
        {},
    ],
)
def test_what_cannot_be_read_is_kept_for_people(odd: dict[str, Any]) -> None:
    delivery = to_delivery(odd, 0.0)
    assert (delivery.type, delivery.parsed) == ("unparsed", False)
    assert delivery.event_id


def test_interactions_wait_for_their_listener_and_rate_limits_do_not() -> None:
    click = {"type": "block_actions", "user": {"id": "U1"}, "actions": []}
    assert to_delivery(click, 0.0).defer_s > 0
    limited = to_delivery({"type": "app_rate_limited", "team_id": "T1"}, 0.0)
    assert (limited.type, limited.parsed, limited.defer_s) == ("app_rate_limited", True, 0.0)


def test_only_own_doings_are_dropped() -> None:
    assert is_own(body(message(user="UBOT")), BOT)
    assert is_own(body(message(user=None, bot_id="BBOT")), BOT)
    assert is_own(body(message(subtype="message_changed", message=message(user="UBOT"))), BOT)
    assert is_own(body({"type": "reaction_added", "user": "UBOT", "item": {}}), BOT)
    assert not is_own(body(message()), BOT)
    assert not is_own(body({"type": "reaction_added", "user": "U1", "item_user": "UBOT"}), BOT)
    assert not is_own({"type": "block_actions"}, BOT)


@pytest.mark.parametrize(
    ("slack", "plain"),
    [
        ("<@UBOT> how  to export?", "how to export?"),
        ("ask <@U2>", "ask <@U2>"),
        ("see <https://a.example/x|the page>", "see the page (https://a.example/x)"),
        ("<https://a.example>", "https://a.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("in <#C2|billing> &amp; a &lt; b", "in #billing & a < b"),
        ("<!here> now", "@here now"),
        ("  one\n  two ", "one\ntwo"),
    ],
)
def test_markup_becomes_plain_text(slack: str, plain: str) -> None:
    assert plain_text(slack, bot="UBOT") == plain


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), anything, max_size=5))
def test_any_payload_becomes_a_row_that_postgresql_can_hold(payload: dict[str, Any]) -> None:
    delivery = to_delivery(payload, 0.0)
    stored = json.dumps(dict(delivery.payload), ensure_ascii=False)
    stored.encode("utf-8")
    assert "\\u0000" not in stored.replace("\\\\", "")
    assert delivery == to_delivery(payload, 0.0)
