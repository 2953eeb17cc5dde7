"""Small building blocks and Slack's limits."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from feedback.domain.text import sentences

Block = dict[str, Any]

SECTION_CHARS = 3000
INPUT_CHARS = 3000
ANSWER_CHARS = 3000
"""An answer part fits one input field, so that every answer can be corrected."""


def escape(text: str) -> str:
    """Returns text in which Slack reads no mention, channel or link mark-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def person(name: str) -> str:
    """Returns a Slack user as a mention, anybody else as text."""
    known = name[:1] in {"U", "W"} and name.isalnum() and name == name.upper()
    return f"<@{name}>" if known else escape(name)


def neutral(text: str) -> str:
    """Returns text for places that may show entities literally, without any mark-up brackets."""
    return text.translate(
        {
            ord("<"): "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
            ord(">"): "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        }
    )


def clip(text: str, limit: int) -> str:
    """Returns at most `limit` characters, the cut marked by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def plain(text: str, limit: int = 75) -> Block:
    """Returns a plain-text object."""
    return {"type": "plain_text", "text": clip(text, limit), "emoji": True}


def markdown(text: str) -> Block:
    """Returns a section of Slack mark-up; the caller has escaped what people wrote."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": clip(text, SECTION_CHARS)}}


def context(*texts: str) -> Block:
    """Returns small grey text."""
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": clip(text, 2000)} for text in texts[:10]],
    }


def button(
    text: str, action_id: str, value: Mapping[str, Any], *, style: str | None = None
) -> Block:
    """Returns a button; `value` holds opaque ids and versions only."""
    shown: Block = {
        "type": "button",
        "text": plain(text),
        "action_id": action_id,
        "value": compact(value),
    }
    return shown | ({"style": style} if style else {})


def compact(value: Mapping[str, Any]) -> str:
    """Returns JSON without white space."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def text_input(
    block_id: str,
    label: str,
    *,
    initial: str = "",
    optional: bool = False,
    hint: str = "",
    multiline: bool = True,
) -> Block:
    """Returns a text field; its action_id is `value`."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": "value",
        "multiline": multiline,
        "max_length": INPUT_CHARS,
    }
    if initial:
        element["initial_value"] = clip(initial, INPUT_CHARS)
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2000),
        "element": element,
        "optional": optional,
    }
    return block | ({"hint": plain(hint, 2000)} if hint else {})


def choices(options: Iterable[tuple[str, str]]) -> list[Block]:
    """Returns options of `(value, text)` pairs."""
    return [{"value": value, "text": plain(text)} for value, text in options]


def checkboxes(
    block_id: str,
    label: str,
    options: Sequence[tuple[str, str]],
    *,
    chosen: Iterable[str] = (),
) -> Block:
    """Returns an optional group of checkboxes; its action_id is `value`."""
    shown = choices(options)
    element: Block = {"type": "checkboxes", "action_id": "value", "options": shown}
    wanted = set(chosen)
    initial = [option for option in shown if option["value"] in wanted]
    if initial:
        element["initial_options"] = initial
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2000),
        "element": element,
        "optional": True,
    }


def radio(
    block_id: str,
    label: str,
    options: Sequence[tuple[str, str]],
    *,
    chosen: str | None = None,
    optional: bool = True,
) -> Block:
    """Returns a group of radio buttons; its action_id is `value`."""
    shown = choices(options)
    element: Block = {"type": "radio_buttons", "action_id": "value", "options": shown}
    initial = next((option for option in shown if option["value"] == chosen), None)
    if initial is not None:
        element["initial_option"] = initial
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2000),
        "element": element,
        "optional": optional,
    }


def select(
    block_id: str, label: str, kind: str, *, initial: Mapping[str, Any] | None = None
) -> Block:
    """Returns an optional select menu of Slack's own lists; its action_id is `value`.

    Args:
        block_id: Names the field.
        label: What people read.
        kind: `users_select` or `conversations_select`.
        initial: Further keys of the element, such as what is chosen at first.
    """
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2000),
        "element": {"type": kind, "action_id": "value", **(initial or {})},
        "optional": True,
    }


def modal(
    callback_id: str,
    title: str,
    blocks: Sequence[Block],
    *,
    submit: str | None,
    ids: Mapping[str, Any],
) -> Block:
    """Returns a modal; `ids` travels in `private_metadata` and holds opaque ids only."""
    view: Block = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(title, 24),
        "close": plain("Cancel", 24),
        "blocks": list(blocks),
        "private_metadata": compact(ids),
    }
    return view | ({"submit": plain(submit, 24)} if submit else {})


def loading(title: str) -> Block:
    """Returns a modal that says to wait; opened while the trigger still lives."""
    return modal("loading", title, [markdown("One moment, please.")], submit=None, ids={})


def note(title: str, text: str) -> Block:
    """Returns a modal that only says something."""
    return modal("note", title, [markdown(escape(text))], submit=None, ids={})


def diff(before: str, after: str) -> list[Block]:
    """Returns what changed, sentence by sentence, in sections within Slack's limit."""
    lines = [
        line
        for line in difflib.unified_diff(sentences(before), sentences(after), n=99, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    if not lines:
        return [markdown("_No difference._")]
    room = SECTION_CHARS - 10
    shown: list[str] = []
    for line in lines:
        safe = escape(line).replace("```", "'''")
        for start in range(0, len(safe), room):
            piece = safe[start : start + room]
            if shown and len(shown[-1]) + len(piece) < room:
                shown[-1] += "\n" + piece
            else:
                shown.append(piece)
    return [markdown(f"```\n{piece}\n```") for piece in shown]
