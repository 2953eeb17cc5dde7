"""TGI's parameter rules: words, order, and what the chat body becomes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.server.bodies import (
    ChatBody,
    GenerateBody,
    GenerateParameters,
    Limits,
    check_early,
    check_length,
    check_parameters,
    decoding_of,
)
from retrain.server.replies import Refusal

LIMITS = Limits(max_input_tokens=99, max_total_tokens=100)


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        ({"temperature": 0.0}, "`temperature` must be strictly positive"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 2.1}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"typical_p": 1.0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": ["a"] * 5}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"best_of": 2, "do_sample": True, "seed": 1}, "`seed` must not be set when `best_of` > 1"),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"truncate": 0}, "`truncate` must be strictly positive and less than 99. Given: 0"),
        # The first broken rule wins, in TGI's order.
        ({"top_p": 2.0, "top_k": -1, "temperature": -1.0}, "`temperature` must be"),
        ({"typical_p": 2.0, "top_k": -1}, "`top_k` must be strictly positive"),
    ],
)
def test_each_rule_has_tgis_words(parameters: dict[str, Any], rule: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_parameters("text", GenerateParameters(**parameters), LIMITS)
    assert caught.value.message.startswith(f"Input validation error: {rule}")
    assert (caught.value.status, caught.value.error_type) == (422, "validation")


@pytest.mark.parametrize("penalty", [-2.0, 0.0, 2.0])
def test_the_bounds_of_the_frequency_penalty_are_allowed(penalty: float) -> None:
    check_parameters("text", GenerateParameters(frequency_penalty=penalty), LIMITS)


@given(
    temperature=st.none() | st.floats(0.01, 5),
    top_p=st.none() | st.floats(0.01, 0.99),
    top_k=st.none() | st.integers(1, 1000),
    stop=st.lists(st.text(), max_size=4),
    seed=st.none() | st.integers(0, 2**64 - 1),
)
def test_values_inside_the_bounds_pass(
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    stop: list[str],
    seed: int | None,
) -> None:
    parameters = GenerateParameters(
        temperature=temperature, top_p=top_p, top_k=top_k, stop=stop, seed=seed
    )
    check_early(parameters, LIMITS, stream=True)
    check_parameters("text", parameters, LIMITS)
    sampling = any(value is not None for value in (temperature, top_p, top_k))
    assert decoding_of(parameters).sample is sampling


def test_streams_have_rules_of_their_own() -> None:
    with pytest.raises(Refusal, match="not allowed when streaming"):
        check_early(GenerateParameters(best_of=2, do_sample=True), LIMITS, stream=True)
    with pytest.raises(Refusal, match="decoder_input_details"):
        check_early(GenerateParameters(decoder_input_details=True), LIMITS, stream=True)
    with pytest.raises(Refusal, match="best_of"):
        check_early(GenerateParameters(best_of=3), LIMITS, stream=False)


def test_lengths_name_both_numbers() -> None:
    assert check_length(60, GenerateParameters(max_new_tokens=40), LIMITS) == 40
    assert check_length(60, GenerateParameters(), LIMITS) == 40
    with pytest.raises(Refusal) as caught:
        check_length(60, GenerateParameters(max_new_tokens=41), LIMITS)
    assert caught.value.message.endswith(
        "`inputs` tokens + `max_new_tokens` must be <= 100. "
        "Given: 60 `inputs` tokens and 41 `max_new_tokens`"
    )


def test_no_parameters_samples_and_empty_ones_are_greedy() -> None:
    assert decoding_of(GenerateBody(inputs="a").parameters).sample
    empty = GenerateBody.model_validate({"inputs": "a", "parameters": {}})
    assert not decoding_of(empty.parameters).sample


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"do_sample": True, "temperature": None, "adapter_id": None}),
        ({"temperature": 0.0}, {"do_sample": False, "temperature": None}),
        ({"temperature": 0.5}, {"do_sample": True, "temperature": 0.5}),
        ({"presence_penalty": -0.5}, {"repetition_penalty": 1.5}),
        ({"model": "tgi"}, {"adapter_id": None}),
        ({"model": "amber"}, {"adapter_id": "amber"}),
        ({"max_tokens": 0}, {"max_new_tokens": 0}),
        ({"max_completion_tokens": 7}, {"max_new_tokens": 7}),
    ],
)
def test_a_chat_body_becomes_parameters(body: dict[str, Any], expected: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "hi"}]
    parameters = ChatBody.model_validate({"messages": messages, **body}).parameters()
    assert parameters.model_dump(include=set(expected)) == expected


def test_message_parts_are_joined_and_images_become_markdown() -> None:
    parts = [
        {"type": "text", "text": "see "},
        {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
    ]
    body = ChatBody.model_validate({"messages": [{"role": "user", "content": parts, "name": "n"}]})
    assert body.messages[0].plain() == {"role": "user", "content": "see ![](http://x/y.png)"}
