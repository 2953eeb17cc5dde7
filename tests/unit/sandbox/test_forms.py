"""Plain values to Slack's state and back, and what Slack's own client refuses."""

from typing import Any

from bot.sandbox.forms import action_of, form_state, missing
from bot.sandbox.jsontypes import JsonValue

OPTIONS = [
    {"text": {"type": "plain_text", "text": name}, "value": name}
    for name in ("one", "two", "three")
]


def field(element: dict[str, Any], **changes: JsonValue) -> dict[str, Any]:
    label = {"type": "plain_text", "text": "Label"}
    block_id = f"block-{element['action_id']}"
    return {"type": "input", "block_id": block_id, "label": label, "element": element, **changes}


VIEW: dict[str, Any] = {
    "blocks": [
        {"type": "divider", "block_id": "line"},
        field({"type": "plain_text_input", "action_id": "text", "initial_value": "first"}),
        field({"type": "checkboxes", "action_id": "many", "options": OPTIONS}),
        field(
            {
                "type": "radio_buttons",
                "action_id": "one",
                "options": OPTIONS,
                "initial_option": OPTIONS[1],
            }
        ),
        field({"type": "users_select", "action_id": "who"}, optional=True),
    ]
}


def values(state: dict[str, Any], action: str) -> dict[str, Any]:
    entry: dict[str, Any] = state["values"][f"block-{action}"][action]
    return entry


def test_what_is_left_out_keeps_its_initial_value() -> None:
    state = form_state(VIEW, {})
    assert values(state, "text")["value"] == "first"
    assert values(state, "many")["selected_options"] == []
    assert values(state, "one")["selected_option"]["value"] == "two"
    assert values(state, "who")["selected_user"] is None


def test_values_are_named_by_action_or_by_block() -> None:
    given = {"text": "new", "block-many": ["one", "three"], "block-one/one": "three", "who": "U1"}
    state = form_state(VIEW, given)
    assert values(state, "text")["value"] == "new"
    assert [o["value"] for o in values(state, "many")["selected_options"]] == ["one", "three"]
    assert values(state, "one")["selected_option"]["value"] == "three"
    assert values(state, "who")["selected_user"] == "U1"


def test_emptied_is_not_the_same_as_untouched() -> None:
    state = form_state(VIEW, {"text": "", "one": None})
    assert values(state, "text")["value"] is None
    assert values(state, "one")["selected_option"] is None


def test_required_fields_and_lengths_are_checked_before_sending() -> None:
    assert missing(VIEW, form_state(VIEW, {})) == {
        "block-many": "Please complete this required field."
    }
    short = {"type": "plain_text_input", "action_id": "t", "min_length": 3, "max_length": 5}
    view = {"blocks": [field(short)]}
    assert missing(view, form_state(view, {"t": "abc"})) == {}
    assert "at least 3" in missing(view, form_state(view, {"t": "ab"}))["block-t"]
    assert "at most 5" in missing(view, form_state(view, {"t": "abcdef"}))["block-t"]


def test_actions_carry_what_each_element_sends() -> None:
    block = {"block_id": "b"}
    feedback = {
        "type": "feedback_buttons",
        "action_id": "f",
        "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
        "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
    }
    assert action_of(block, feedback, "negative")["value"] == "down"
    assert action_of(block, feedback, "positive")["text"]["text"] == "Good"
    button = {"type": "button", "action_id": "x", "text": OPTIONS[0]["text"], "value": "7"}
    assert action_of(block, button, None) == {**button, "block_id": "b"}
    menu = {"type": "overflow", "action_id": "m", "options": OPTIONS}
    assert action_of(block, menu, "two")["selected_option"] == OPTIONS[1]
