"""Slack's agent events, and the other shapes a question can come in."""

from typing import Any

import pytest

from bot.slack.agent_events import context_changed, session_stopped
from bot.slack.payloads import (
    ASK_SHORTCUT,
    EditedMessage,
    HomeOpened,
    Question,
    asked_with,
    parse,
)
from bot.slack.storing import to_delivery

CHANNEL = {"type": "slack#/types/channel_id", "value": "C0SIGHT", "team_id": "T1"}


def body(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "event_callback",
        "event_id": "Ev1",
        "event_time": 1_700_000_000,
        "team_id": "T1",
        "authorizations": [{"user_id": "UBOT"}],
        "event": event,
    }


def test_a_stop_is_read_and_urgent() -> None:
    stop = {"type": "agent_session_stopped", "channel": "D1", "thread_ts": "1.0", "user": "U1",
            "streaming_message_ts": ["1.5"], "event_ts": "2.0"}  # fmt: skip
    found = session_stopped(body(stop))
    assert found is not None
    assert (found.thread_key, found.event_ts, found.streams) == ("T1:D1:1.0", "2.0", ("1.5",))
    delivery = to_delivery(body(stop), 0.0)
    assert delivery.urgent
    assert delivery.thread_key is None, "it overtakes the question in hand"


@pytest.mark.parametrize("missing", ["channel", "thread_ts", "type"])
def test_a_stop_without_a_thread_stops_nothing(missing: str) -> None:
    stop = {"type": "agent_session_stopped", "channel": "D1", "thread_ts": "1.0", "user": "U1"}
    del stop[missing]
    assert session_stopped(body({**stop, "type": stop.get("type", "message")})) is None


@pytest.mark.parametrize(
    ("context", "seen"),
    [
        ({"entities": [CHANNEL]}, [{"type": CHANNEL["type"], "value": "C0SIGHT"}]),
        ({}, []),
        (None, []),
        ({"entities": "C0SIGHT"}, []),
        (
            {
                "entities": [
                    "C0SIGHT",
                    {"value": "C0SIGHT"},
                    {**CHANNEL, "value": "Salaries of all"},
                ]
            },
            [],
        ),
    ],
)
def test_what_somebody_looks_at_is_kept_as_ids(context: object, seen: list[object]) -> None:
    event = {"type": "app_context_changed", "user": "U1", "context": context, "event_ts": "3.5"}
    found = context_changed(body(event))
    assert found is not None
    assert (found.team, found.user, list(found.entities), found.event_ts) == ("T1", "U1", seen, 3.5)


def test_an_opened_conversation_may_say_what_is_in_sight() -> None:
    opened = {"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "messages"}
    assert context_changed(body(opened)) is None
    seen = context_changed(body({**opened, "context": {"entities": [CHANNEL]}}))
    assert seen is not None
    assert seen.event_ts == 1_700_000_000, "the delivery's time, for want of its own"
    read = parse({"body": body(opened)})
    assert read == HomeOpened(team="T1", user="U1", tab="messages", channel="D1")
    nobody = {"type": "app_context_changed", "context": {"entities": [CHANNEL]}}
    assert context_changed(body(nobody)) is None


def test_a_direct_message_may_say_what_is_in_sight() -> None:
    message = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1",
               "text": "hi", "ts": "1.5", "app_context": {"entities": [CHANNEL]}}  # fmt: skip
    question = parse({"body": body(message)})
    assert isinstance(question, Question)
    assert question.looking_at == ("C0SIGHT",)


def picked(**message: Any) -> dict[str, Any]:  # noqa: ANN401  (JSON holds anything)
    return {
        "type": "message_action",
        "callback_id": ASK_SHORTCUT,
        "team": {"id": "T1"},
        "user": {"id": "U9"},
        "channel": {"id": "C1"},
        "message": {"user": "U1", "text": "How?", "ts": "1.5", **message},
    }


def test_a_picked_message_is_a_question_of_its_author_for_the_one_who_picked() -> None:
    question = asked_with(picked(thread_ts="1.0"))
    assert question is not None
    assert (question.user, question.by, question.thread_key) == ("U1", "U9", "T1:C1:1.0")
    assert question.mentioned
    delivery = to_delivery(picked(thread_ts="1.0"), 0.0)
    assert (delivery.thread_key, delivery.question_key, delivery.defer_s) == ("T1:C1:1.0", None, 0)
    workflow = asked_with(picked(user=None))
    assert workflow is not None
    assert workflow.user == "U9", "what no person wrote is asked by the one who picked it"


def test_a_picked_message_without_a_place_asks_nothing() -> None:
    assert asked_with({**picked(), "channel": None}) is None
    assert asked_with({**picked(), "message": None}) is None
    assert to_delivery({**picked(), "message": None}, 0.0).thread_key is None


def test_an_edit_says_what_is_asked_now() -> None:
    old = {"type": "message", "user": "U1", "text": "how?", "ts": "1.5"}
    new = {**old, "text": "<@UBOT> how?", "edited": {"user": "U1", "ts": "9.0"}}
    event = {"type": "message", "subtype": "message_changed", "channel": "C1", "message": new,
             "previous_message": old, "ts": "9.1", "event_ts": "9.1"}  # fmt: skip
    edit = parse({"body": body(event)})
    assert isinstance(edit, EditedMessage)
    assert (edit.edited_ts, edit.newly_mentioned) == ("9.0", True)
    assert edit.question is not None
    assert (edit.question.mentioned, edit.question.edited_ts) == (True, "9.0")
    assert to_delivery(body(event), 0.0).urgent
    robot = {**event, "message": {**new, "bot_id": "B2"}}
    read = parse({"body": body(robot)})
    assert isinstance(read, EditedMessage)
    assert read.question is None
