"""What publishing relies on of every TGI server, ours and real ones."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from feedback.errors import InvalidInputError
from feedback.ports import GenerationOptions, Message
from feedback.serving.tgi import TgiTextGenerator
from tests.contract.serving.live import Live

CONVERSATION = (
    Message(role="user", content="Hello"),
    Message(role="assistant", content="Hi, how can I help?"),
    Message(role="user", content="Grüße aus Köln: 東京 🙂"),
)


@pytest.fixture
async def client(live: Live) -> AsyncIterator[TgiTextGenerator]:
    opened = live.connect()
    yield opened
    await opened.aclose()


async def test_it_is_healthy_and_says_what_it_serves(client: TgiTextGenerator) -> None:
    assert await client.healthy()
    info = await client.info()
    assert info["model_id"]
    assert info["max_total_tokens"] > info["max_input_tokens"] > 0


async def test_greedy_probes_are_the_same_twice_with_their_logprobs(
    client: TgiTextGenerator, live: Live
) -> None:
    for adapter in (None, *live.adapters):
        first, again = [
            await client.generate_details("The capital of France", adapter=adapter, max_tokens=8)
            for _ in range(2)
        ]
        assert first.token_ids == again.token_ids
        assert len(first.token_ids) == len(first.logprobs) <= 8
        assert all(value <= 0 for value in first.logprobs)


async def test_a_conversation_is_rendered_once_and_the_same_way(client: TgiTextGenerator) -> None:
    rendered = await client.chat_tokenize(CONVERSATION)
    assert "東京" in rendered.text
    assert rendered == await client.chat_tokenize(CONVERSATION)


async def test_too_long_an_answer_is_refused_as_invalid(client: TgiTextGenerator) -> None:
    limit = (await client.info())["max_total_tokens"]
    with pytest.raises(InvalidInputError):
        await client.chat(
            CONVERSATION[:1], adapter=None, options=GenerationOptions(max_tokens=limit + 1)
        )


async def test_answers_asked_together_are_those_asked_alone(
    client: TgiTextGenerator, live: Live
) -> None:
    pairs = [
        (f"Question {number}: how do I reset it?", adapter)
        for number in range(4)
        for adapter in (None, *live.adapters)
    ]

    async def ask(prompt: str, adapter: str | None) -> tuple[int, ...]:
        # A few tokens: half precision may part ways later on.
        return (await client.generate_details(prompt, adapter=adapter, max_tokens=4)).token_ids

    alone = [await ask(*pair) for pair in pairs]
    assert await asyncio.gather(*(ask(*pair) for pair in pairs)) == alone
