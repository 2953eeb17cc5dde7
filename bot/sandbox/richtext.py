"""The `rich_text` block that Slack adds to what a person typed."""

import re

from bot.sandbox.jsontypes import Json

_TOKEN = re.compile(r"<([^<>\s][^<>]*)>")


def rich_text(text: str) -> Json:
    """Returns wire text (`<@U1>`, `<#C1|name>`, `<!here>`, `<url|label>`) as one section."""
    elements: list[Json] = []
    position = 0
    for match in _TOKEN.finditer(text):
        _add_text(elements, text[position : match.start()])
        elements.append(_element(match.group(1)))
        position = match.end()
    _add_text(elements, text[position:])
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": elements}],
    }


def _add_text(elements: list[Json], text: str) -> None:
    if text:
        plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        elements.append({"type": "text", "text": plain})


def _element(token: str) -> Json:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        return {"type": "user", "user_id": target[1:]}
    if target.startswith("#"):
        return {"type": "channel", "channel_id": target[1:]}
    if target.startswith("!subteam^"):
        return {"type": "usergroup", "usergroup_id": target.removeprefix("!subteam^")}
    if target.startswith("!"):
        return {"type": "broadcast", "range": target[1:]}
    link = {"type": "link", "url": target}
    return {**link, "text": label} if label else link
