"""Replies that real servers gave are understood, over real sockets.

The recorded ones lie beside the project, not in it; the few here have the same shapes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from feedback.errors import StreamBrokenError
from feedback.ports import Generation, GenerationOptions, Message
from feedback.serving import TgiTextGenerator
from tests.served import served

RECORDED = (
    Path(__file__).parents[4] / "shared" / "data" / "payloads" / "tgi_response_snapshots.jsonl"
)
Reply = dict[str, Any] | list[dict[str, Any]]
QUESTION = (Message(role="user", content="hi"),)
OPTIONS = GenerationOptions()
HEAD = {"id": "", "created": 1, "model": "m", "system_fingerprint": "3.3.6-dev0-native"}
USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}


def generated(**details: object) -> dict[str, Any]:
    tokens = [
        {"id": 5, "text": " ", "logprob": None, "special": False},
        {"id": 6, "text": "ok", "logprob": -0.5, "special": False},
    ]
    known = {
        "finish_reason": "length", "generated_tokens": 2, "prefill": [], "seed": None,
        "tokens": tokens,
    }  # fmt: skip
    return {"generated_text": " ok", "details": known | details}


def completion(content: str | None, **message: object) -> dict[str, Any]:
    said = {"role": "assistant", "content": content} | message
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": "stop"}
    return HEAD | {"object": "chat.completion", "choices": [choice], "usage": USAGE}


def chunk(content: str | None, finish: str | None = None, **more: object) -> dict[str, Any]:
    delta = {"role": "assistant", "content": content}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return HEAD | {"object": "chat.completion.chunk", "choices": [choice], "usage": None} | more


TOOL = {"id": "0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SHAPES: dict[str, Reply] = {
    "generate": generated(),
    "generate with all details": generated(best_of_sequences=None, top_tokens=[], seed=7),
    "several generations": [generated(), generated(finish_reason="eos_token")],
    "chat": completion("Hello"),
    "tools": completion(None, tool_calls=[TOOL]),
    "one chunk": chunk("Hi", "stop"),
    "stream": [chunk("He"), chunk("llo"), chunk("", "length")],
    "stream with usage": [chunk("Hi", "stop"), chunk(None) | {"choices": [], "usage": USAGE}],
    "stream without an end": [chunk("He"), chunk("llo")],
    "empty stream": [],
}


@dataclass
class Replay:
    """Answers every request with one reply, plain or as events."""

    reply: Reply = field(default_factory=dict)
    connections: set[object] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        if not (await request.json()).get("stream"):
            return web.json_response(self.reply)
        events = [f"data: {json.dumps(event)}\n\n" for event in self.reply]
        return web.Response(
            text="".join([*events, "data: [DONE]\n\n"]), content_type="text/event-stream"
        )


@asynccontextmanager
async def replaying() -> AsyncIterator[tuple[Replay, TgiTextGenerator]]:
    replay, app = Replay(), web.Application()
    app.add_routes(
        [web.post(path, replay.answer) for path in ("/generate", "/v1/chat/completions")]
    )
    async with served(app) as url:
        client = TgiTextGenerator(url)
        yield replay, client
        await client.aclose()


async def understand(replay: Replay, client: TgiTextGenerator, reply: Reply) -> None:
    """Gets one recorded reply by the call that asks for its kind, and compares."""
    several = reply if isinstance(reply, list) else [reply]
    first = several[0] if several else {}
    if "generated_text" in first:
        for one in several:
            replay.reply = one
            got = await client.generate_details("x", adapter=None)
            expected = one["details"]["tokens"]
            assert got.text == one["generated_text"]
            assert got.token_ids == tuple(token["id"] for token in expected)
            for value, token in zip(got.logprobs, expected, strict=True):
                assert value == token["logprob"] or token["logprob"] is None
            assert got.finish_reason == one["details"]["finish_reason"]
    elif first.get("object") == "chat.completion":
        replay.reply = first
        answer = await client.chat(QUESTION, adapter=None, options=OPTIONS)
        choice = first["choices"][0]
        assert answer.text == (choice["message"]["content"] or "")
        assert answer.finish_reason == choice["finish_reason"]
        assert answer.completion_tokens == first["usage"]["completion_tokens"]
    else:
        replay.reply = several
        await understand_stream(client, several)


async def understand_stream(client: TgiTextGenerator, events: list[dict[str, Any]]) -> None:
    choices = [choice for event in events for choice in event["choices"]]
    text = "".join(choice["delta"]["content"] or "" for choice in choices)
    pieces = []
    stream = client.stream(QUESTION, adapter=None, options=OPTIONS)
    if not any(choice["finish_reason"] for choice in choices):
        with pytest.raises(StreamBrokenError):
            pieces += [piece async for piece in stream]
        return
    pieces += [piece async for piece in stream]
    last = pieces.pop()
    assert isinstance(last, Generation)
    assert "".join(map(str, pieces)) == last.text == text
    usage = [event["usage"] for event in events if event["usage"]]
    if usage:
        assert last.completion_tokens == usage[-1]["completion_tokens"]


async def all_understood(replies: Iterable[tuple[str, Reply]]) -> int:
    count = 0
    async with replaying() as (replay, client):
        for name, reply in replies:
            count += 1
            try:
                await understand(replay, client, reply)
            except Exception as exc:
                exc.add_note(name)
                raise
    return count


async def test_every_shape_is_understood() -> None:
    assert await all_understood(SHAPES.items()) == len(SHAPES)


@pytest.mark.skipif(
    not RECORDED.exists(), reason="the recorded replies are not part of the project"
)
async def test_every_recorded_reply_is_understood() -> None:
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    assert await all_understood((row["path"], row["response"]) for row in rows) == 98


async def test_connections_are_kept() -> None:
    """All but those of streams, which the hub's client leaves before their last byte."""
    async with replaying() as (replay, client):
        for reply in ("generate", "chat", "several generations", "tools"):
            await understand(replay, client, SHAPES[reply])
        assert len(replay.connections) == 1
        together = [client.chat(QUESTION, adapter=None, options=OPTIONS) for _ in range(8)]
        replay.reply = SHAPES["chat"]
        await asyncio.gather(*together)
        await asyncio.gather(
            *(client.chat(QUESTION, adapter=None, options=OPTIONS) for _ in range(8))
        )
        assert len(replay.connections) <= 8
