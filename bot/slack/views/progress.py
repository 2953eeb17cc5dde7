"""Pieces of a streamed message: its text, and the steps that readers watch."""

from collections.abc import Sequence
from typing import Any, Literal

from bot.drafts import Source
from bot.slack.views.blocks import clip, neutral

Chunk = dict[str, Any]
TaskStatus = Literal["pending", "in_progress", "complete", "error"]


def text_chunk(text: str) -> Chunk:
    """Returns text; the caller has escaped it."""
    return {"type": "markdown_text", "text": text}


def searching(status: TaskStatus, sources: Sequence[Source] = ()) -> Chunk:
    """Returns the step that looks passages up, with what it found."""
    task: Chunk = {
        "type": "task_update",
        "id": "search",
        "title": "Searching the documents",
        "status": status,
    }
    links = [
        {
            "type": "url",
            "url": source.uri.replace("<", "%3C").replace(">", "%3E"),
            "text": neutral(clip(source.title, 150)),
        }
        for source in sources
        if source.uri.startswith(("https://", "http://"))
    ]
    return task | ({"sources": links} if links else {})


def writing(status: TaskStatus) -> Chunk:
    """Returns the step that writes the answer."""
    return {"type": "task_update", "id": "write", "title": "Writing the answer", "status": status}
