"""What a person filled in: plain values to and from Slack's `state.values`."""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.sandbox.jsontypes import Json, JsonValue

_ONE_OPTION = {"static_select", "radio_buttons", "overflow", "external_select"}
_MANY_OPTIONS = {"checkboxes", "multi_static_select", "multi_external_select"}
_VALUE = {"plain_text_input", "number_input", "email_text_input", "url_text_input"}
_SELECTED = {
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
}
STATEFUL = _ONE_OPTION | _MANY_OPTIONS | _VALUE | set(_SELECTED)


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yields every `(block, element)` that can be acted on."""
    for block in blocks:
        parts = [block.get("element"), block.get("accessory")]
        if block.get("type") in {"actions", "context_actions"}:
            parts += block.get("elements", [])
        for part in parts:
            if isinstance(part, dict) and "action_id" in part:
                yield block, part


def options(element: Json) -> list[Json]:
    """Returns every option of a choice element, groups flattened."""
    groups = element.get("option_groups") or []
    grouped = [option for group in groups for option in group["options"]]
    return [*element.get("options", []), *grouped]


def element_state(element: Json, value: JsonValue = None, *, given: bool = False) -> Json:
    """Returns an element's entry of `state.values`.

    Args:
        element: The Block Kit element.
        value: The plain value: text, an option value, a list of option values, or an id.
        given: Whether `value` replaces the element's initial value (None then empties it).
    """
    kind = element["type"]
    if kind in _MANY_OPTIONS:
        wanted = (value or []) if given else _values(element.get("initial_options") or [])
        chosen = [option for option in options(element) if option.get("value") in wanted]
        return {"type": kind, "selected_options": chosen}
    if kind in _ONE_OPTION:
        wanted = value if given else (element.get("initial_option") or {}).get("value")
        found = (option for option in options(element) if option.get("value") == wanted)
        return {"type": kind, "selected_option": next(found, None)}
    if kind in _SELECTED:
        selected, initial = _SELECTED[kind]
        return {"type": kind, selected: value if given else element.get(initial)}
    text = value if given else element.get("initial_value")
    return {"type": kind, "value": text or None}


def form_state(view: Json, values: Mapping[str, Any]) -> Json:
    """Returns `state.values` of a view.

    Args:
        view: The modal.
        values: Plain values by action_id, or by block_id where action ids repeat.
    """
    state: Json = {}
    for block, element in elements(view["blocks"]):
        if element["type"] not in STATEFUL:
            continue
        keys = (f"{block['block_id']}/{element['action_id']}", element["action_id"],
                block["block_id"])  # fmt: skip
        key = next((key for key in keys if key in values), None)
        entry = element_state(element, values.get(key) if key else None, given=key is not None)
        state.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return {"values": state}


def missing(view: Json, state: Json) -> dict[str, str]:
    """Returns what Slack's client refuses before anything is sent, by block_id."""
    problems = {}
    for block in view["blocks"]:
        element = block.get("element")
        if block.get("type") != "input" or element is None:
            continue
        entry = state["values"].get(block["block_id"], {}).get(element["action_id"], {})
        filled = [v for k, v in entry.items() if k != "type" and v]
        if not filled:
            if not block.get("optional", False):
                problems[block["block_id"]] = "Please complete this required field."
            continue
        length = len(filled[0]) if element["type"] == "plain_text_input" else 0
        if length > element.get("max_length", 3000):
            limit = element.get("max_length", 3000)
            problems[block["block_id"]] = f"Please use at most {limit} characters."
        elif 0 < length < element.get("min_length", 0):
            problems[block["block_id"]] = f"Please use at least {element['min_length']} characters."
    return problems


def action_of(block: Json, element: Json, value: JsonValue) -> Json:
    """Returns the `actions` entry of a `block_actions` payload.

    Args:
        block: The block of the element.
        element: The element acted on.
        value: For feedback buttons `positive` or `negative`; for choices the option value(s);
            ignored for buttons.
    """
    kind = element["type"]
    action: Json = {
        "type": kind,
        "action_id": element["action_id"],
        "block_id": block["block_id"],
    }
    if kind == "feedback_buttons":
        side = "negative_button" if value == "negative" else "positive_button"
        button = element[side]
        return {**action, "text": button["text"], "value": button.get("value", "")}
    if kind in {"button", "workflow_button", "icon_button"}:
        keys = ("text", "value", "style", "url", "icon")
        return action | {key: element[key] for key in keys if key in element}
    return {**action, **element_state(element, value, given=True)}


def _values(chosen: list[Json]) -> list[Any]:
    return [option.get("value") for option in chosen]
