"""Pieces of a streamed message: its text, and the steps that readers watch.

The steps' ids name the answer. A message carries metadata only once its stream has ended, so this
is how one that was begun and never recorded is known as ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bot.drafts import Source
from bot.slack.views.blocks import clip, neutral

Chunk = dict[str, Any]
TaskStatus = Literal["pending", "in_progress", "complete", "error"]


def text_chunk(text: str) -> Chunk:
    """Returns text; the caller has escaped it."""
    return {"type": "markdown_text", "text": text}


def searching(answer: str, status: TaskStatus, sources: Sequence[Source] = ()) -> Chunk:
    """Returns the step that looks passages up for an answer, with what it found."""
    task: Chunk = {
        "type": "task_update",
        "id": f"search:{answer}",
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


def writing(answer: str, status: TaskStatus) -> Chunk:
    """Returns the step that writes an answer."""
    return {
        "type": "task_update",
        "id": f"write:{answer}",
        "title": "Writing the answer",
        "status": status,
    }


def streams(message: Mapping[str, Any], answer: str) -> bool:
    """Whether a message is the stream of an answer, by the ids of its steps."""
    blocks = [block for block in message.get("blocks") or () if isinstance(block, Mapping)]
    tasks = [*blocks, *(task for block in blocks for task in block.get("tasks") or ())]
    ours = {f"search:{answer}", f"write:{answer}"}
    return any(isinstance(task, Mapping) and task.get("task_id") in ours for task in tasks)
