"""What people type after `/understudy`, read without trust."""

import json

import pytest

from bot.orders import Verb
from bot.slack.forms import Delivered
from bot.slack.orders import CANCEL_ACTION, CONFIRM_ACTION, answer_of, order_of, typed
from feedback.errors import InvalidInputError


def command(text: str) -> Delivered:
    body = {"command": "/understudy", "team_id": "T1", "user_id": "U1", "channel_id": "C1"}
    return Delivered(body=body | {"text": text}, event_id="e", received_ts=1.0, delivery_id=7)


def click(**action: object) -> Delivered:
    body = {"type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}}
    return Delivered(body=body | {"actions": [action]}, event_id="e", received_ts=1.0)


@pytest.mark.parametrize(
    ("text", "verb", "rest"),
    [
        ("", Verb.HELP, ""),
        ("  STATUS ", Verb.STATUS, ""),
        ("freeze   it  looks\todd", Verb.FREEZE, "it looks odd"),
        ("reboot now", Verb.HELP, "now"),
        ("why not", Verb.WHY, "not"),
    ],
)
def test_lines(text: str, verb: Verb, rest: str) -> None:
    assert (typed(text).verb, typed(text).rest) == (verb, rest)


def test_a_reason_is_not_endless() -> None:
    assert len(order_of(command("freeze " + "x" * 4000)).reason) == 500


def test_an_order_knows_where_it_came_from() -> None:
    order = order_of(command("rollback because of the tone"))
    assert (order.team, order.user, order.delivery_id) == ("T1", "U1", 7)
    assert (order.reason, order.target) == ("because of the tone", None)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("forget", None),
        ("forget <@U0ABC123|ben>", "U0ABC123"),
        ("forget <@W0ABC123>", "W0ABC123"),
        ("forget U0ABC123", "U0ABC123"),
    ],
)
def test_whom_to_forget(text: str, target: str | None) -> None:
    order = order_of(command(text))
    assert (order.target, order.reason) == (target, "")


@pytest.mark.parametrize("text", ["forget ben", "forget <@U0ABC123> <@U0ABC124>", "forget me"])
def test_nobody_is_forgotten_by_a_guess(text: str) -> None:
    with pytest.raises(InvalidInputError, match="mention"):
        order_of(command(text))


def test_clicks() -> None:
    value = json.dumps({"k": "abc"})
    assert answer_of(click(action_id=CONFIRM_ACTION, value=value)).yes
    assert not answer_of(click(action_id=CANCEL_ACTION, value=value)).yes
    assert answer_of(click(action_id=CONFIRM_ACTION, value=value)).confirmation_id == "abc"


@pytest.mark.parametrize("value", [None, "", "[]", "{}", "abc", "3"])
def test_a_forged_value_is_refused(value: str | None) -> None:
    with pytest.raises(InvalidInputError):
        answer_of(click(action_id=CONFIRM_ACTION, value=value))
