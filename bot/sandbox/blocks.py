"""The limits of Block Kit that are cheap to check (docs.slack.dev, slack_sdk validators)."""

from collections.abc import Iterator

from bot.sandbox.errors import SlackError, invalid
from bot.sandbox.jsontypes import Json, JsonValue

MAX_MESSAGE_BLOCKS = 50
MAX_MESSAGE_BLOCK_CHARACTERS = 13_200
MAX_MARKDOWN = 12_000

_MESSAGE_BLOCKS = frozenset({
    "actions", "alert", "card", "carousel", "context", "context_actions", "data_table", "divider",
    "file", "header", "image", "input", "markdown", "plan", "rich_text", "section", "table",
    "task_card", "video",
})  # fmt: skip
_VIEW_BLOCKS = frozenset({
    "actions", "alert", "context", "divider", "header", "image", "input", "markdown", "rich_text",
    "section", "table", "video",
})  # fmt: skip
MAX_TABLE_ROWS = 100
MAX_TABLE_COLUMNS = 20
MAX_TABLE_CHARACTERS = 10_000

_ELEMENT_LIMIT = {"actions": 25, "context": 10, "context_actions": 5}
_OPTION_LIMIT = {"overflow": 5, "radio_buttons": 10, "checkboxes": 10}


def check_message_blocks(blocks: JsonValue) -> list[Json]:
    """Returns the blocks of a message when Slack would take them.

    Raises:
        SlackError: `invalid_blocks_format`, `invalid_blocks` or `msg_blocks_too_long`.
    """
    if blocks is None:
        return []
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackError("invalid_blocks_format")
    problems = block_problems(blocks, surface="message")
    if len(blocks) > MAX_MESSAGE_BLOCKS:
        problems.append(f"no more than {MAX_MESSAGE_BLOCKS} items allowed [/blocks]")
    if problems:
        raise invalid("invalid_blocks", problems)
    if sum(len(text) for block in blocks for text in texts(block)) > MAX_MESSAGE_BLOCK_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    return blocks


def block_problems(blocks: list[Json], *, surface: str) -> list[str]:
    """Returns what is wrong with blocks on a surface (`message`, `modal`, `home`)."""
    known = _MESSAGE_BLOCKS if surface == "message" else _VIEW_BLOCKS
    problems: list[str] = []
    seen: set[str] = set()
    for position, block in enumerate(blocks):
        where = f"/blocks/{position}"
        kind = block.get("type")
        if kind not in known:
            problems.append(f"unsupported type: {kind} [{where}]")
            continue
        block_id = block.get("block_id")
        if block_id is not None:
            if block_id in seen:
                problems.append(f"block_id {block_id!r} is used twice [{where}]")
            if len(block_id) > 255:
                problems.append(f"must be less than 256 characters [{where}/block_id]")
            seen.add(block_id)
        problems += _one_block(block, where)
    return problems


def _one_block(block: Json, where: str) -> Iterator[str]:
    kind = block["type"]
    if kind == "section":
        yield from _section(block, where)
    elif kind == "header":
        yield from _length(block.get("text"), 150, f"{where}/text")
    elif kind == "markdown":
        yield from _markdown(block, where)
    elif kind in _ELEMENT_LIMIT:
        yield from _row(block, where)
    elif kind == "input":
        yield from _input(block, where)
    elif kind == "table":
        yield from _table(block, where)


def _markdown(block: Json, where: str) -> Iterator[str]:
    if not block.get("text"):
        yield f"missing required field: text [{where}]"
    elif len(block["text"]) > MAX_MARKDOWN:
        yield f"must be less than {MAX_MARKDOWN + 1} characters [{where}/text]"


def _row(block: Json, where: str) -> Iterator[str]:
    parts = block.get("elements")
    if not isinstance(parts, list) or not parts:
        yield f"missing required field: elements [{where}]"
        return
    limit = _ELEMENT_LIMIT[block["type"]]
    if len(parts) > limit:
        yield f"no more than {limit} items allowed [{where}/elements]"
    for position, part in enumerate(parts):
        yield from _element(part, f"{where}/elements/{position}")


def _table(block: Json, where: str) -> Iterator[str]:
    rows = block.get("rows")
    if not isinstance(rows, list) or not rows:
        yield f"missing required field: rows [{where}]"
        return
    if len(rows) > MAX_TABLE_ROWS:
        yield f"no more than {MAX_TABLE_ROWS} items allowed [{where}/rows]"
    if max(len(row) for row in rows) > MAX_TABLE_COLUMNS:
        yield f"no more than {MAX_TABLE_COLUMNS} columns allowed [{where}/rows]"
    if sum(len(text) for text in texts(rows)) > MAX_TABLE_CHARACTERS:
        yield f"must be less than {MAX_TABLE_CHARACTERS + 1} characters [{where}/rows]"


def _input(block: Json, where: str) -> Iterator[str]:
    if not isinstance(block.get("element"), dict):
        yield f"missing required field: element [{where}]"
        return
    yield from _length(block.get("label"), 2000, f"{where}/label")
    yield from _element(block["element"], f"{where}/element")


def _section(block: Json, where: str) -> Iterator[str]:
    fields = block.get("fields") or []
    if not fields and not (block.get("text") or {}).get("text"):
        yield f"missing required field: text or fields [{where}]"
    if block.get("text"):
        yield from _length(block["text"], 3000, f"{where}/text")
    if len(fields) > 10:
        yield f"no more than 10 items allowed [{where}/fields]"
    for position, part in enumerate(fields):
        yield from _length(part, 2000, f"{where}/fields/{position}")
    if isinstance(block.get("accessory"), dict):
        yield from _element(block["accessory"], f"{where}/accessory")


def _element(part: Json, where: str) -> Iterator[str]:
    kind = part.get("type")
    if len(part.get("action_id") or "") > 255:
        yield f"must be less than 256 characters [{where}/action_id]"
    if kind == "button":
        yield from _length(part.get("text"), 75, f"{where}/text")
        yield from _value(part, where)
        if len(part.get("url") or "") > 3000:
            yield f"must be less than 3001 characters [{where}/url]"
    elif kind == "feedback_buttons":
        yield from _feedback_buttons(part, where)
    elif kind == "plain_text_input":
        yield from _text_input(part, where)
    elif "options" in part or "option_groups" in part:
        yield from _options(part, where)
    if part.get("placeholder"):
        yield from _length(part["placeholder"], 150, f"{where}/placeholder")
    if isinstance(part.get("confirm"), dict):
        yield from _confirm(part["confirm"], f"{where}/confirm")


def _confirm(confirm: Json, where: str) -> Iterator[str]:
    for key, limit in {"title": 100, "text": 300, "confirm": 30, "deny": 30}.items():
        yield from _length(confirm.get(key), limit, f"{where}/{key}")


def _feedback_buttons(part: Json, where: str) -> Iterator[str]:
    for side in ("positive_button", "negative_button"):
        button = part.get(side)
        if not isinstance(button, dict):
            yield f"missing required field: {side} [{where}]"
            continue
        yield from _length(button.get("text"), 75, f"{where}/{side}/text")
        yield from _value(button, f"{where}/{side}")


def _text_input(part: Json, where: str) -> Iterator[str]:
    for key in ("min_length", "max_length"):
        if part.get(key) is not None and not 0 <= part[key] <= 3000:
            yield f"must be between 0 and 3000 [{where}/{key}]"
    if len(part.get("initial_value") or "") > 3000:
        yield f"must be less than 3001 characters [{where}/initial_value]"


def _options(part: Json, where: str) -> Iterator[str]:
    limit = _OPTION_LIMIT.get(str(part.get("type")), 100)
    groups = part.get("option_groups")
    if groups is not None:
        if not 1 <= len(groups) <= 100:
            yield f"must have 1 to 100 items [{where}/option_groups]"
        for position, group in enumerate(groups):
            yield from _length(group.get("label"), 75, f"{where}/option_groups/{position}/label")
            inside = {"type": part.get("type"), "options": group.get("options") or []}
            yield from _options(inside, f"{where}/option_groups/{position}")
        return
    if not 1 <= len(part["options"]) <= limit:
        yield f"must have 1 to {limit} items [{where}/options]"
    for position, choice in enumerate(part["options"]):
        yield from _length(choice.get("text"), 75, f"{where}/options/{position}/text")
        if len(str(choice.get("value", ""))) > 150:
            yield f"must be less than 151 characters [{where}/options/{position}/value]"


def _length(text: JsonValue, limit: int, where: str) -> Iterator[str]:
    if not isinstance(text, dict) or not isinstance(text.get("text"), str) or not text["text"]:
        yield f"missing required field: text [{where}]"
    elif len(text["text"]) > limit:
        yield f"must be less than {limit + 1} characters [{where}]"


def _value(button: Json, where: str) -> Iterator[str]:
    if len(button.get("value") or "") > 2000:
        yield f"must be less than 2001 characters [{where}/value]"


def texts(part: JsonValue) -> Iterator[str]:
    """Yields every displayed text inside a block."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "text" and isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                yield from texts(value)
    elif isinstance(part, list):
        for item in part:
            yield from texts(item)
