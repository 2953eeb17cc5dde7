"""The contract on the wire: shapes, errors, framing."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

MESSAGES = [{"role": "user", "content": "Reset the token"}]
CHAT: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 6}
GREEDY: dict[str, Any] = {**CHAT, "temperature": 0}


@pytest.fixture
async def http(server_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server_url, timeout=60) as client:
        yield client


def events(answer: httpx.Response) -> list[Any]:
    """Returns parsed events; the framing is `data: ` with one space and an empty line."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    blocks = answer.text.split("\n\n")
    assert not blocks.pop()
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    payloads = [block.removeprefix("data: ") for block in blocks]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


async def test_generate_tells_tokens_seed_and_times(http: httpx.AsyncClient) -> None:
    parameters = {"max_new_tokens": 5, "details": True, "top_n_tokens": 2}
    answer = await http.post("/generate", json={"inputs": "hello", "parameters": parameters})
    details = answer.json()["details"]
    assert details["finish_reason"] == "length"
    assert details["generated_tokens"] == len(details["tokens"]) == 5
    assert details["seed"] is None
    assert details["prefill"] == []
    for token, top in zip(details["tokens"], details["top_tokens"], strict=True):
        assert top[0]["id"] == token["id"]
        assert top[0]["logprob"] >= top[1]["logprob"]
    assert answer.headers["x-generated-tokens"] == "5"
    assert int(answer.headers["x-prompt-tokens"]) > 0
    assert float(answer.headers["x-compute-time"]) > 0


async def test_without_parameters_a_request_samples_and_with_them_it_is_greedy(
    http: httpx.AsyncClient,
) -> None:
    given = {"inputs": "hello", "parameters": {"max_new_tokens": 3, "details": True}}
    greedy = (await http.post("/generate", json=given)).json()
    again = (await http.post("/generate", json=given)).json()
    assert greedy == again
    sampled = await http.post("/generate", json={"inputs": "hello"})
    assert "details" not in sampled.json()
    assert sampled.json()["generated_text"] != greedy["generated_text"]


async def test_the_prompts_own_logprobs_are_told_on_demand(http: httpx.AsyncClient) -> None:
    parameters = {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
    answer = await http.post("/generate", json={"inputs": "hello", "parameters": parameters})
    first, *others = answer.json()["details"]["prefill"]
    assert first["logprob"] is None
    assert all(token["logprob"] < 0 for token in others)
    assert "".join(token["text"] for token in (first, *others)) == "hello"


async def test_a_text_stream_ends_with_text_and_details(http: httpx.AsyncClient) -> None:
    given = {"inputs": "hello", "parameters": {"max_new_tokens": 4, "details": True}}
    plain = (await http.post("/generate", json=given)).json()
    stream = events(await http.post("/generate_stream", json=given))
    assert [event["index"] for event in stream] == [1, 2, 3, 4]
    assert [event["generated_text"] for event in stream[:-1]] == [None] * 3
    assert stream[-1]["generated_text"] == plain["generated_text"]
    assert stream[-1]["details"]["input_length"] > 0
    assert [e["token"]["id"] for e in stream] == [t["id"] for t in plain["details"]["tokens"]]


async def test_the_compat_route_answers_a_list_and_echoes(http: httpx.AsyncClient) -> None:
    given = {"inputs": "hello", "parameters": {"max_new_tokens": 2}}
    plain = (await http.post("/generate", json=given)).json()["generated_text"]
    assert (await http.post("/", json=given)).json() == [{"generated_text": f"hello{plain}"}]


async def test_a_chat_stream_ends_with_usage_and_done(http: httpx.AsyncClient) -> None:
    plain = (await http.post("/v1/chat/completions", json=GREEDY)).json()
    asked = {**GREEDY, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, usage, done = events(await http.post("/v1/chat/completions", json=asked))
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"] == plain["usage"]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * 5 + ["length"]
    silent = events(await http.post("/v1/chat/completions", json={**GREEDY, "stream": True}))
    assert len(silent) == len(chunks) + 1


async def test_chat_logprobs_have_openais_shape(http: httpx.AsyncClient) -> None:
    body = {**GREEDY, "logprobs": True, "top_logprobs": 2}
    answer = (await http.post("/v1/chat/completions", json=body)).json()
    content = answer["choices"][0]["logprobs"]["content"]
    assert len(content) == 6
    assert all(entry["logprob"] == entry["top_logprobs"][0]["logprob"] for entry in content)


async def test_a_stop_string_stays_in_the_text(http: httpx.AsyncClient) -> None:
    parameters: dict[str, Any] = {"max_new_tokens": 40, "details": True}
    given = {"inputs": "hello", "parameters": parameters}
    tokens = (await http.post("/generate", json=given)).json()["details"]["tokens"]
    stop = next(token["text"] for token in tokens[2:] if len(token["text"]) > 1)
    parameters["stop"] = [stop]
    answer = (await http.post("/generate", json=given)).json()
    assert answer["details"]["finish_reason"] == "stop_sequence"
    assert answer["generated_text"].endswith(stop)
    assert answer["generated_text"].count(stop) == 1


async def test_an_unknown_adapter_is_silently_the_base(http: httpx.AsyncClient) -> None:
    base = (await http.post("/v1/chat/completions", json={**GREEDY, "model": "tgi"})).json()
    other = (await http.post("/v1/chat/completions", json={**GREEDY, "model": "mauve"})).json()
    known = (await http.post("/v1/chat/completions", json={**GREEDY, "model": "amber"})).json()
    content = [answer["choices"][0]["message"]["content"] for answer in (base, other, known)]
    assert content[0] == content[1] != content[2]
    assert other["model"] == "mauve"
    models = (await http.get("/v1/models")).json()
    assert len(models["data"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "start"),
    [
        (b"{", 400, "Failed to parse the request body as JSON"),
        (b'{"inputs": NaN}', 400, "Failed to parse"),
        (b"\xff\x00", 400, "Failed to parse"),
        ('{"inputs": "a"}'.encode("utf-16"), 400, "Failed to parse"),
        (b'{"inputs": "\\ud800"}', 400, "Failed to parse"),
        (b'{"inputs": 3}', 422, "Failed to deserialize the JSON body into the target type"),
        (b'{"inputs": "a", "parameters": {"max_new_tokens": -1}}', 422, "Failed to deserialize"),
        (b'{"inputs": "a", "parameters": {"max_new_tokens": 1.5}}', 422, "Failed to deserialize"),
        (b'{"inputs": "a", "parameters": {"stop": "x"}}', 422, "Failed to deserialize"),
        (b"[" * 100_000, 400, "Failed to parse"),
        (b'{"inputs": "' + b"a" * 2_000_001 + b'"}', 413, "Failed to buffer"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_body_that_is_not_understood_gets_plain_text(
    http: httpx.AsyncClient, body: bytes, status: int, start: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = await http.post("/generate", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith(start)


async def test_errors_of_a_stream_come_as_events(http: httpx.AsyncClient) -> None:
    answer = await http.post("/generate_stream", json={"inputs": "", "parameters": {}})
    assert answer.status_code == 200
    rule = "Input validation error: `inputs` cannot be empty"
    assert events(answer) == [{"error": rule, "error_type": "validation"}]
    chat = {**CHAT, "stream": True, "top_p": 1.0}
    error, done = events(await http.post("/v1/chat/completions", json=chat))
    assert error["error"] == {
        "message": "Input validation error: `top_p` must be > 0.0 and < 1.0",
        "http_status_code": 422,
    }
    assert done == "[DONE]"


async def test_missing_content_type_route_and_method(http: httpx.AsyncClient) -> None:
    untyped = await http.post("/generate", content=b"{}")
    assert untyped.status_code == 415
    assert (await http.get("/nowhere")).status_code == 404
    wrong = await http.get("/generate")
    assert (wrong.status_code, wrong.content) == (405, b"")


async def test_tools_and_grammars_are_refused_with_their_types(http: httpx.AsyncClient) -> None:
    tools = [{"type": "function", "function": {"name": "f", "arguments": {}}}]
    answer = await http.post("/v1/chat/completions", json={**CHAT, "tools": tools})
    assert (answer.status_code, answer.json()["error_type"]) == (422, "tool_error")
    grammar = {"type": "regex", "value": "a"}
    answer = await http.post("/v1/chat/completions", json={**CHAT, "response_format": grammar})
    assert (answer.status_code, answer.json()["error_type"]) == (422, "validation")


async def test_chat_tokenize_shows_the_prompt(http: httpx.AsyncClient) -> None:
    answer = (await http.post("/chat_tokenize", json=CHAT)).json()
    assert answer["templated_text"] == "<|bos|><|user|>Reset the token<|end|><|assistant|>"
    text = "".join(token["text"] for token in answer["tokenize_response"])
    assert text == answer["templated_text"]
    begun = [*MESSAGES, {"role": "assistant", "content": "Sure, "}]
    answer = (await http.post("/chat_tokenize", json={"messages": begun})).json()
    assert answer["templated_text"].endswith("<|assistant|>Sure,")


async def test_tokenize_gives_spans_of_the_text(http: httpx.AsyncClient) -> None:
    text = "Grüße 🙂 reset"
    answer = (await http.post("/tokenize", json={"inputs": text})).json()
    assert all(text[token["start"] : token["stop"]] == token["text"] for token in answer)
    assert answer[-1]["stop"] == len(text)


async def test_completions_take_a_few_prompts(http: httpx.AsyncClient) -> None:
    body = {"prompt": ["hello", "reset"], "max_tokens": 3, "temperature": 0}
    answer = (await http.post("/v1/completions", json=body)).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert answer["usage"]["completion_tokens"] == 6
    *chunks, done = events(await http.post("/v1/completions", json={**body, "stream": True}))
    assert done == "[DONE]"
    streamed = ["", ""]
    for choice in (chunk["choices"][0] for chunk in chunks):
        streamed[choice["index"]] += choice["text"]
    assert streamed == [choice["text"].rstrip("\ufffd") for choice in answer["choices"]]
    refused = await http.post("/v1/completions", json={**body, "prompt": ["a"] * 5})
    assert refused.json()["error_type"] == "batch size exceeded"


async def test_best_of_returns_the_better_of_two(http: httpx.AsyncClient) -> None:
    parameters = {"best_of": 2, "do_sample": True, "details": True, "max_new_tokens": 6}
    answer = (await http.post("/generate", json={"inputs": "a", "parameters": parameters})).json()
    details = answer["details"]
    (other,) = details["best_of_sequences"]

    def mean(tokens: list[dict[str, float]]) -> float:
        return sum(token["logprob"] for token in tokens) / len(tokens)

    assert mean(details["tokens"]) >= mean(other["tokens"])


@pytest.mark.parametrize("filters", [{"top_k": 1}, {"repetition_penalty": 5e-324}])
async def test_what_is_no_finite_number_is_null(
    http: httpx.AsyncClient, filters: dict[str, Any]
) -> None:
    """As from TGI, whose serde has no other word for it: -Infinity and NaN are no JSON."""
    parameters = {"max_new_tokens": 3, "do_sample": True, "top_n_tokens": 3, "details": True}
    parameters.update(filters)
    given = {"inputs": "hello hello", "parameters": parameters}
    answer = (await http.post("/generate", json=given)).json()
    tops = [token["logprob"] for top in answer["details"]["top_tokens"] for token in top]
    assert None in tops
    assert all(logprob is None or logprob <= 0 for logprob in tops)
    stream = await http.post("/generate_stream", json=given)
    assert stream.text.count('"logprob":null') > 0
    assert "NaN" not in stream.text
    assert "Infinity" not in stream.text
    parameters["best_of"] = 2
    assert (await http.post("/generate", json=given)).status_code == 200


async def test_embed_without_an_embedder_says_how_to_get_one(http: httpx.AsyncClient) -> None:
    answer = await http.post("/embed", json={"inputs": "a"})
    assert answer.status_code == 503
    assert "--embedder" in answer.json()["error"]
