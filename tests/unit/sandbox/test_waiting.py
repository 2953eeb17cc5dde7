"""The feed, triggers and fault rules."""

import asyncio

import pytest

from bot.sandbox.errors import SlackError
from bot.sandbox.faults import Fault, Faults
from bot.sandbox.feed import Feed
from bot.sandbox.http_mode import signature
from bot.sandbox.triggers import Triggers
from feedback.errors import InvalidInputError


async def test_a_reader_is_woken_by_the_next_change() -> None:
    feed = Feed(10, 0)
    waiting = asyncio.create_task(feed.wait(0, 5))
    await asyncio.sleep(0)
    feed.append("message", channel="C1")
    entries, reset = await waiting
    assert (entries, reset) == ([{"seq": 1, "kind": "message", "channel": "C1"}], False)


async def test_a_reader_gets_what_it_missed_or_is_told_to_start_over() -> None:
    feed = Feed(3, 0)
    for number in range(5):
        feed.append("message", number=number)
    assert [entry["number"] for entry in feed.since(3)[0]] == [3, 4]
    assert feed.since(2)[0][0]["number"] == 2
    assert feed.since(1) == ([], True)
    assert feed.since(5) == ([], False)
    assert feed.since(9) == ([], True)


async def test_numbers_go_on_after_a_restart() -> None:
    feed = Feed(3, 41)
    assert feed.since(41) == ([], False)
    assert feed.since(40) == ([], True)
    feed.append("message")
    assert feed.since(41)[0][0]["seq"] == 42


def test_a_trigger_works_once_and_for_its_life() -> None:
    now = [100.0]
    triggers = Triggers(3.0, clock=lambda: now[0])
    first, _ = triggers.issue("U1")
    assert triggers.consume(first).user == "U1"
    with pytest.raises(SlackError, match="exchanged_trigger_id"):
        triggers.consume(first)
    second, _ = triggers.issue("U1")
    now[0] += 3.0
    triggers.consume(second)
    third, _ = triggers.issue("U1")
    now[0] += 3.1
    with pytest.raises(SlackError, match="expired_trigger_id"):
        triggers.consume(third)
    with pytest.raises(SlackError, match="invalid_trigger_id"):
        triggers.consume("made up")


def test_fault_rules_hit_in_order_and_run_out() -> None:
    faults = Faults()
    faults.add(Fault(method="chat.update", kind="error", times=2, skip=1, code="a"))
    faults.add(Fault(method="*", kind="error", times=1, code="b", channel="C1"))

    def hit(method: str, channel: str | None = None) -> str | None:
        rule = faults.hit(method, channel)
        return rule.code if rule else None

    assert hit("chat.update") is None
    assert [hit("chat.update"), hit("chat.update"), hit("chat.update")] == ["a", "a", None]
    assert [hit("users.info", "C2"), hit("users.info", "C1"), hit("users.info", "C1")] == [
        None,
        "b",
        None,
    ]
    assert faults.calls == {"chat.update": 4, "users.info": 3}


def test_fault_rules_are_checked() -> None:
    with pytest.raises(InvalidInputError, match="not a fault rule"):
        Fault.from_json({"method": "x", "kind": "error", "colour": "red"})


def test_the_signature_is_slack_s() -> None:
    # The worked example of docs.slack.dev, "Verifying requests from Slack".
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2F"
        "webhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J"
        "%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc"
        "887a14d10d2c447fce8b6703c"
    )
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body) == expected
