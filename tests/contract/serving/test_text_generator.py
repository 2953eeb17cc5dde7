"""What every TextGenerator does, the scripted one and the one over HTTP."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from feedback.errors import AdapterNotServedError
from feedback.ports import Generation, GenerationOptions, Message, TextGenerator
from feedback.serving import FakeTextGenerator
from tests.contract.serving.live import Live

QUESTION = (Message(role="user", content="How do I reset the export token?"),)
OPTIONS = GenerationOptions(max_tokens=8)


@pytest.fixture(params=["fake", "tgi"])
async def generator(request: pytest.FixtureRequest, live: Live) -> AsyncIterator[TextGenerator]:
    if request.param == "fake":
        words = "one two three four five six seven eight nine ten"
        yield FakeTextGenerator(
            lambda _messages, adapter: f"{adapter or 'base'} {words}", adapters=live.adapters
        )
        return
    client = live.connect()
    yield client
    await client.aclose()


async def test_the_answer_is_counted_and_bounded(generator: TextGenerator) -> None:
    answer = await generator.chat(QUESTION, adapter=None, options=OPTIONS)
    assert answer.text
    assert answer.completion_tokens == 8
    assert answer.finish_reason == "length"
    assert answer.prompt_tokens > 0


async def test_a_stream_adds_up_to_the_plain_answer(generator: TextGenerator, live: Live) -> None:
    adapter = next(iter(live.adapters), None)
    plain = await generator.chat(QUESTION, adapter=adapter, options=OPTIONS)
    parts = [part async for part in generator.stream(QUESTION, adapter=adapter, options=OPTIONS)]
    last = parts[-1]
    assert isinstance(last, Generation)
    assert all(isinstance(part, str) and part for part in parts[:-1])
    assert "".join(part for part in parts if isinstance(part, str)) == last.text
    # A stream holds back half a character at its end; the plain answer shows it as U+FFFD.
    assert last.text == plain.text.rstrip("\ufffd")
    assert last.completion_tokens == plain.completion_tokens


async def test_adapters_answer_differently(generator: TextGenerator, live: Live) -> None:
    names = (None, *live.adapters)
    if len(names) == 1:
        pytest.skip("the server was said to have no adapters")
    texts = {
        name: (await generator.chat(QUESTION, adapter=name, options=OPTIONS)).text for name in names
    }
    assert len(set(texts.values())) == len(names)


async def test_an_unknown_adapter_is_refused_before_it_is_asked(generator: TextGenerator) -> None:
    with pytest.raises(AdapterNotServedError, match="mauve"):
        await generator.chat(QUESTION, adapter="mauve", options=OPTIONS)
    with pytest.raises(AdapterNotServedError, match="mauve"):
        async for _ in generator.stream(QUESTION, adapter="mauve", options=OPTIONS):
            pass


async def test_a_stream_may_be_left_early(generator: TextGenerator) -> None:
    async with aclosing(generator.stream(QUESTION, adapter=None, options=OPTIONS)) as parts:
        first = await anext(parts)
    assert isinstance(first, str)
    again = await generator.chat(QUESTION, adapter=None, options=OPTIONS)
    assert again.completion_tokens == 8
