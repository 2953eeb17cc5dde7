"""Whatever a client sends, the server answers in the contract and stays alive."""

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PARAMETERS = st.fixed_dictionaries(
    {"max_new_tokens": st.integers(0, 6) | SCALARS},
    optional={
        "best_of": st.integers(0, 3) | SCALARS,
        "temperature": st.floats(-1, 3) | st.just(1e-40) | SCALARS,
        "repetition_penalty": st.floats(-1, 3) | SCALARS,
        "frequency_penalty": st.floats(-3, 3) | SCALARS,
        "top_k": st.integers(-1, 600) | SCALARS,
        "top_p": st.floats(0, 1) | SCALARS,
        "typical_p": st.floats(0, 1) | SCALARS,
        "do_sample": st.booleans() | SCALARS,
        "details": st.booleans(),
        "decoder_input_details": st.booleans(),
        "return_full_text": st.none() | st.booleans(),
        "stop": st.lists(st.text(max_size=3), max_size=5) | SCALARS,
        "truncate": st.integers(0, 600) | SCALARS,
        "seed": st.integers(0, 2**64 - 1) | SCALARS,
        "top_n_tokens": st.integers(0, 6) | SCALARS,
        "adapter_id": st.sampled_from(["cobalt", "amber", "mauve"]) | SCALARS,
        "grammar": ANY,
    },
)  # fmt: skip
CHAT = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.text(max_size=4), "content": st.text(max_size=30)}),
            max_size=3,
        )
        | ANY,
        "max_tokens": st.integers(0, 6),
    },
    optional={
        "temperature": st.floats(-1, 3),
        "top_p": st.floats(0, 1),
        "stop": ANY,
        "model": ANY,
        "stream": st.booleans() | ANY,
        "stream_options": ANY,
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 6),
        "tools": ANY,
        "presence_penalty": st.floats(-3, 3),
    },
)
KNOWN = {200, 400, 413, 422}


@pytest.fixture(scope="module")
def http(server_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_url, timeout=60) as client:
        yield client


def post(http: httpx.Client, path: str, body: object) -> None:
    """Sends any JSON value and checks the answer."""
    headers = {"content-type": "application/json"}
    check(http.post(path, content=json.dumps(body), headers=headers))


def check(answer: httpx.Response) -> None:
    """Statuses and bodies are those of the contract."""
    assert answer.status_code in KNOWN, (answer.status_code, answer.text)
    kind = answer.headers["content-type"]
    if answer.status_code == 422 and kind == "application/json":
        assert set(answer.json()) == {"error", "error_type"}
    elif answer.status_code != 200:
        assert kind.startswith("text/plain")
    elif kind == "application/json":
        answer.json()
    else:
        assert kind.startswith("text/event-stream")


@settings(max_examples=60, deadline=None)
@given(inputs=st.text(max_size=40) | ANY, parameters=PARAMETERS | ANY, stream=st.booleans())
def test_generate_survives_anything(
    http: httpx.Client, inputs: object, parameters: object, stream: bool
) -> None:
    path = "/generate_stream" if stream else "/generate"
    post(http, path, {"inputs": inputs, "parameters": parameters})


@settings(max_examples=60, deadline=None)
@given(body=CHAT | ANY, path=st.sampled_from(["/v1/chat/completions", "/chat_tokenize"]))
def test_chat_survives_anything(http: httpx.Client, body: object, path: str) -> None:
    post(http, path, body)


@settings(max_examples=30, deadline=None)
@given(
    body=st.fixed_dictionaries({"prompt": st.text(max_size=20) | ANY, "max_tokens": st.just(2)})
    | ANY
)
def test_completions_survive_anything(http: httpx.Client, body: object) -> None:
    post(http, "/v1/completions", body)


@settings(max_examples=30, deadline=None)
@given(raw=st.binary(max_size=60))
def test_bytes_that_are_no_json_survive(http: httpx.Client, raw: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = http.post("/generate", content=raw, headers=headers)
    assert answer.status_code in KNOWN
    assert http.get("/health").status_code == 200
