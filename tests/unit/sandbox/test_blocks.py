"""Every limit at n and at n + 1."""

import json
from typing import Any

import pytest

from bot.sandbox.blocks import block_problems, check_message_blocks
from bot.sandbox.errors import SlackError
from bot.sandbox.jsontypes import JsonValue
from bot.sandbox.view_stack import check_view


def text(length: int) -> dict[str, str]:
    return {"type": "plain_text", "text": "x" * length}


def button(**changes: JsonValue) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": text(1), **changes}


def options(count: int) -> list[dict[str, Any]]:
    return [{"text": text(3), "value": str(number)} for number in range(count)]


def actions(element: dict[str, Any], count: int = 1) -> dict[str, Any]:
    return {"type": "actions", "elements": [element] * count}


def confirm(**changes: JsonValue) -> dict[str, Any]:
    limits = {"title": text(100), "text": text(300), "confirm": text(30), "deny": text(30)}
    return {**limits, **changes}


def feedback(label: int, value: int) -> dict[str, Any]:
    side = {"text": text(label), "value": "v" * value}
    sides = {"positive_button": {"text": text(1)}, "negative_button": side}
    return {"type": "feedback_buttons", "action_id": "f", **sides}


def option(label: int, value: int) -> dict[str, Any]:
    return {"text": text(label), "value": "v" * value}


def select(choices: list[dict[str, Any]], **changes: JsonValue) -> dict[str, Any]:
    return actions({"type": "static_select", "action_id": "s", "options": choices, **changes})


def grouped(count: int, label: int) -> dict[str, Any]:
    groups = [{"label": text(label), "options": options(1)}] * count
    return actions({"type": "static_select", "action_id": "s", "option_groups": groups})


def field(**changes: JsonValue) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "a", **changes}
    return {"type": "input", "label": text(5), "element": element}


def table(rows: int, columns: int, length: int) -> dict[str, Any]:
    cell = {"type": "raw_text", "text": "x" * length}
    return {"type": "table", "rows": [[cell] * columns] * rows}


AT_LIMIT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "section", "text": text(3000)}, {"type": "section", "text": text(3001)}),
    (
        {"type": "section", "fields": [text(2000)] * 10},
        {"type": "section", "fields": [text(2000)] * 11},
    ),
    ({"type": "section", "fields": [text(2000)]}, {"type": "section", "fields": [text(2001)]}),
    ({"type": "header", "text": text(150)}, {"type": "header", "text": text(151)}),
    ({"type": "markdown", "text": "x" * 12_000}, {"type": "markdown", "text": "x" * 12_001}),
    (actions(button(), 25), actions(button(), 26)),
    (
        {"type": "context", "elements": [text(1)] * 10},
        {"type": "context", "elements": [text(1)] * 11},
    ),
    (actions(button(text=text(75))), actions(button(text=text(76)))),
    (actions(button(value="v" * 2000)), actions(button(value="v" * 2001))),
    (actions(button(action_id="a" * 255)), actions(button(action_id="a" * 256))),
    (
        actions({"type": "radio_buttons", "action_id": "r", "options": options(10)}),
        actions({"type": "radio_buttons", "action_id": "r", "options": options(11)}),
    ),
    (
        actions({"type": "static_select", "action_id": "s", "options": options(100)}),
        actions({"type": "static_select", "action_id": "s", "options": options(101)}),
    ),
    (actions(button(url="u" * 3000)), actions(button(url="u" * 3001))),
    (actions(button(confirm=confirm())), actions(button(confirm=confirm(title=text(101))))),
    (actions(button(confirm=confirm())), actions(button(confirm=confirm(text=text(301))))),
    (actions(button(confirm=confirm())), actions(button(confirm=confirm(confirm=text(31))))),
    (actions(button(confirm=confirm())), actions(button(confirm=confirm(deny=text(31))))),
    (actions(feedback(75, 2000)), actions(feedback(76, 1))),
    (actions(feedback(75, 2000)), actions(feedback(1, 2001))),
    ({"type": "divider", "block_id": "b" * 255}, {"type": "divider", "block_id": "b" * 256}),
    (
        {"type": "context_actions", "elements": [feedback(1, 1)] * 5},
        {"type": "context_actions", "elements": [feedback(1, 1)] * 6},
    ),
    (
        actions({"type": "overflow", "action_id": "o", "options": options(5)}),
        actions({"type": "overflow", "action_id": "o", "options": options(6)}),
    ),
    (select([option(75, 150)]), select([option(76, 1)])),
    (select([option(75, 150)]), select([option(1, 151)])),
    (select(options(1), placeholder=text(150)), select(options(1), placeholder=text(151))),
    (grouped(100, 75), grouped(101, 1)),
    (grouped(100, 75), grouped(1, 76)),
    (field(min_length=0, max_length=3000), field(max_length=3001)),
    (field(initial_value="v" * 3000), field(initial_value="v" * 3001)),
    (table(100, 20, 5), table(101, 1, 1)),
    (table(100, 20, 5), table(1, 21, 1)),
    (table(10, 10, 100), table(1, 1, 10_001)),
]  # fmt: skip


@pytest.mark.parametrize(("fits", "too_much"), AT_LIMIT)
def test_limits(fits: dict[str, Any], too_much: dict[str, Any]) -> None:
    assert block_problems([fits], surface="message") == []
    assert len(block_problems([too_much], surface="message")) == 1


def test_a_message_takes_fifty_blocks() -> None:
    assert len(check_message_blocks([{"type": "divider"}] * 50)) == 50
    with pytest.raises(SlackError) as raised:
        check_message_blocks([{"type": "divider"}] * 51)
    assert raised.value.code == "invalid_blocks"
    assert raised.value.details["errors"] == ["no more than 50 items allowed [/blocks]"]


def test_all_texts_of_a_message_count_together() -> None:
    half = {"type": "markdown", "text": "x" * 6_600}
    assert check_message_blocks([half, half])
    with pytest.raises(SlackError, match="msg_blocks_too_long"):
        check_message_blocks([half, half, {"type": "header", "text": text(1)}])


@pytest.mark.parametrize("blocks", ["text", {"type": "divider"}, ["divider"]])
def test_blocks_that_are_none(blocks: JsonValue) -> None:
    with pytest.raises(SlackError, match="invalid_blocks_format"):
        check_message_blocks(blocks)


def test_views_know_no_message_blocks_and_ids_are_unique() -> None:
    context_actions = {"type": "context_actions", "elements": [button()]}
    assert block_problems([context_actions], surface="message") == []
    assert block_problems([context_actions], surface="modal")
    twice = [{"type": "divider", "block_id": "b"}] * 2
    assert "used twice" in block_problems(twice, surface="message")[0]


def test_a_view_lists_every_problem_at_once() -> None:
    view = {
        "type": "modal",
        "title": text(25),
        "private_metadata": "x" * 3001,
        "blocks": [
            {
                "type": "input",
                "label": text(5),
                "element": {"type": "plain_text_input", "action_id": "a", "max_length": 3001},
            }
        ],
    }
    with pytest.raises(SlackError) as raised:
        check_view(view, "modal")
    assert raised.value.code == "invalid_arguments"
    assert len(raised.value.details["errors"]) == 4


MODAL: dict[str, Any] = {
    "type": "modal",
    "title": text(24),
    "submit": text(24),
    "close": text(24),
    "private_metadata": "m" * 3000,
    "callback_id": "c" * 255,
    "external_id": "e" * 255,
    "blocks": [{"type": "divider"}] * 100,
}


@pytest.mark.parametrize(
    ("key", "too_much"),
    [
        ("title", text(25)),
        ("submit", text(25)),
        ("close", text(25)),
        ("private_metadata", "m" * 3001),
        ("callback_id", "c" * 256),
        ("external_id", "e" * 256),
        ("blocks", [{"type": "divider"}] * 101),
    ],
)
def test_a_view_at_its_limits_and_above(key: str, too_much: JsonValue) -> None:
    check_view(MODAL, "modal")
    with pytest.raises(SlackError) as raised:
        check_view({**MODAL, key: too_much}, "modal")
    assert raised.value.code == "invalid_arguments"
    assert len(raised.value.details["errors"]) == 1


def test_a_view_weighs_at_most_a_quarter_of_a_megabyte() -> None:
    view = {"type": "home", "blocks": [], "unknown": ""}
    room = 250_000 - len(json.dumps(view))
    check_view({**view, "unknown": "x" * room}, "home")
    with pytest.raises(SlackError, match="view_too_large"):
        check_view({**view, "unknown": "x" * (room + 1)}, "home")
    with pytest.raises(SlackError, match="view_too_large"):
        check_view({**view, "unknown": "é" * room}, "home")
