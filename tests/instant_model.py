"""A model server that answers at once: TGI's chat route and `/embed`, over real HTTP."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from aiohttp import web

from tests.served import served

DIMENSIONS = 384
_WORD = re.compile(r"[a-z0-9]+")

Say = Callable[[str], str]
"""Returns the answer to the text of the last message of a prompt."""


@asynccontextmanager
async def instant_model(
    say: Say, *, thinks_s: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[str]:
    """Serves `say` as a model on a free port of 127.0.0.1 and yields its URL.

    Args:
        say: The model.
        thinks_s: Seconds that it takes for the next answer; none by default.
    """

    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        with suppress(ConnectionResetError):  # the one who asks may be killed at any moment
            asked = await request.json()
            text = say(asked["messages"][-1]["content"])
            await asyncio.sleep(thinks_s())
            if not asked.get("stream"):
                return _whole(text)
            await _stream(request, response, text)
        return response

    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat),
            web.post("/embed", _embed),
            web.get("/info", _info),
        ]
    )
    async with served(app) as url:
        yield url


_USAGE = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}


def _completion(kind: str, choices: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    head = {"id": "c", "object": kind, "created": 0, "model": "tgi", "system_fingerprint": "x"}
    return {**head, "choices": choices, **more}


def _whole(text: str) -> web.Response:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response(_completion("chat.completion", [choice], usage=_USAGE))


async def _stream(request: web.Request, response: web.StreamResponse, text: str) -> None:
    await response.prepare(request)
    for content, finish in ((text, None), ("", "stop")):
        delta = {"role": "assistant", "content": content}
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        usage = _USAGE if finish else None
        chunk = _completion("chat.completion.chunk", [choice], usage=usage)
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")


async def _info(_: web.Request) -> web.Response:
    return web.json_response({"embedder_id": "words-in-buckets", "model_id": "instant"})


async def _embed(request: web.Request) -> web.Response:
    inputs = (await request.json())["inputs"]
    return web.json_response([bucket_vector(text) for text in inputs])


def bucket_vector(text: str) -> list[float]:
    """Returns a normalised vector in which equal words fall into equal places."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    for word in _WORD.findall(text.lower()):
        vector[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest()) % 384] += 1.0
    vector[0] += 1e-3  # a text without words has a direction too
    scaled: list[float] = (vector / np.linalg.norm(vector)).round(6).tolist()
    return scaled
