"""Our answers have the fields, types and order of events that recorded replies of real TGI have.

The recordings lie beside the project, not in it. They went through TGI's own test clients, which
add empty fields of their own; those are named here. Replies with tools are not comparable: the
server refuses tools.
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

RECORDED = (
    Path(__file__).parents[4] / "shared" / "data" / "payloads" / "tgi_response_snapshots.jsonl"
)
CHAT = {
    "messages": [{"role": "user", "content": "Reset the token"}],
    "max_tokens": 4,
    "temperature": 0,
}
ADDED = {"best_of_sequences", "top_tokens", "name", "tool_calls", "function_call", "refusal",
         "service_tier", "completion_tokens_details", "prompt_tokens_details"}  # fmt: skip
"""Null in a recording: the client's own field. TGI leaves them out."""


def shape(value: object) -> object:
    """Returns field names and JSON types; numbers are one type, null is kept as such."""
    if isinstance(value, dict):
        return {
            key: shape(item)
            for key, item in value.items()
            if not (key in ADDED and item is None) and not (key == "usage" and item is None)
        }
    if isinstance(value, list):
        kinds = {json.dumps(shape(item), sort_keys=True): shape(item) for item in value}
        return list(kinds.values())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def fits(recorded: object, ours: object) -> bool:
    """Whether two shapes are the same but for what depends on the request: null or a value."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        return recorded.keys() == ours.keys() and all(fits(recorded[k], ours[k]) for k in ours)
    if isinstance(recorded, list) and isinstance(ours, list):
        return all(any(fits(one, other) for other in ours) for one in recorded)
    return recorded == ours or "NoneType" in (recorded, ours)


def recordings() -> list[tuple[str, Any]]:
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row["path"], row["response"]) for row in rows]


def kind(reply: object) -> str | None:
    """Returns which of our answers a recording is compared with."""
    if isinstance(reply, list):
        kinds = {kind(one) for one in reply}
        if kinds <= {"chunk", "usage"} and kinds:
            return "stream"
        return kinds.pop() if len(kinds) == 1 else None
    assert isinstance(reply, dict)
    if "tool_calls" in json.dumps(reply) and '"tool_calls": null' not in json.dumps(reply):
        return None
    if "details" in reply:
        return "prefill" if reply["details"]["prefill"] else "generate"
    if reply.get("object") == "chat.completion.chunk":
        return "chunk" if reply["choices"] else "usage"
    return "chat" if reply.get("object") == "chat.completion" else None


def own(url: str) -> dict[str, list[Any]]:
    """Returns our answers of every kind."""
    with httpx.Client(base_url=url, timeout=60) as client:

        def generate(**more: object) -> Any:  # noqa: ANN401 - any JSON
            parameters = {"max_new_tokens": 4, "details": True, **more}
            body = {"inputs": "hello", "parameters": parameters}
            return client.post("/generate", json=body).json()

        asked = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
        text = client.post("/v1/chat/completions", json=asked).text
        payloads = [block.removeprefix("data: ") for block in text.split("\n\n") if block]
        chunks = [json.loads(payload) for payload in payloads if payload != "[DONE]"]
        return {
            "generate": [generate(), generate(do_sample=True, seed=1)],
            "prefill": [generate(decoder_input_details=True)],
            "chat": [client.post("/v1/chat/completions", json=CHAT).json()],
            "chunk": chunks[:-1],
            "usage": chunks[-1:],
            "stream": [chunks],
        }


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings lie beside the project")
def test_recorded_replies_have_our_shapes(server_url: str) -> None:
    ours = own(server_url)
    compared: dict[str, int] = {}
    for path, reply in recordings():
        name = kind(reply)
        if name is None:
            assert "tools" in path, f"{path} is compared with nothing"
            continue
        for one in reply if isinstance(reply, list) and name != "stream" else [reply]:
            assert any(fits(shape(one), shape(answer)) for answer in ours[name]), (
                path, shape(one), [shape(answer) for answer in ours[name]],
            )  # fmt: skip
            compared[name] = compared.get(name, 0) + 1
        if name == "stream":
            order = [kind(chunk) for chunk in reply]
            assert "usage" not in order[:-1]
    assert sum(compared.values()) >= 90, compared
    assert set(compared) >= {"generate", "prefill", "chat", "stream"}
