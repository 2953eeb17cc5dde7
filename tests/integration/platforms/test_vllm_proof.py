"""Proofs ask vLLM by its own routes, and the bot's client talks to it unchanged."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from feedback.errors import AdapterNotServedError, InvalidInputError, TemplateRejectedError
from feedback.ports import Generation, GenerationOptions, Message
from feedback.serving.tgi import ScoredGeneration, TgiTextGenerator, TokenizedChat
from retrain.publishing.probes import PARITY_CONVERSATIONS, PROBE_TOKENS
from retrain.publishing.proof import (
    ProbeSignature,
    prove,
    prove_isolation,
    prove_prompt_parity,
    signature,
)
from retrain.publishing.vllm_probe import VllmProbe
from tests.integration.platforms.vllm_double import (
    BASE,
    VOCABULARY,
    VllmDouble,
    rendered,
    scripted,
    serving,
)

PROMPTS = ("Hello!", "Why was my last export empty?")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[VllmDouble]:
    async with AsyncExitStack() as stack:
        (double,) = await serving(stack, tmp_path, 1)
        double.adapters = {"first": "weights-1", "second": "weights-2"}
        yield double


@pytest.fixture
async def probe(server: VllmDouble) -> AsyncIterator[VllmProbe]:
    opened = VllmProbe(server.url, adapters=["first", "second", "third"])
    yield opened
    await opened.aclose()


async def signed(weights: str) -> ProbeSignature:
    """What training recorded of an adapter with these weights."""

    async def generate(prompt: str, adapter: str | None) -> ScoredGeneration:
        ids = scripted(weights if adapter else BASE, prompt, PROBE_TOKENS)
        return ScoredGeneration(
            text="",
            token_ids=tuple(ids),
            logprobs=tuple(-each / VOCABULARY for each in ids),
            finish_reason="length",
        )

    return await signature(PROMPTS, generate, adapter="any")


async def test_what_is_loaded_is_proven_and_what_is_swapped_is_not(
    server: VllmDouble, probe: VllmProbe
) -> None:
    proof = await prove(probe, "first", await signed("weights-1"))
    assert proof.from_expected.within(0.0)
    isolation = await prove_isolation(probe, [None, "first", "second"], PROMPTS, requests=30)
    assert isolation.mismatches == 0
    server.swapped = {"first"}
    with pytest.raises(AdapterNotServedError, match="other weights"):
        await prove(probe, "first", await signed("weights-1"))
    with pytest.raises(AdapterNotServedError, match="third"):
        await prove(probe, "third", await signed("weights-3"))


async def test_the_rendered_prompt_is_compared_by_its_ids(probe: VllmProbe) -> None:
    def render(messages: Sequence[Message]) -> TokenizedChat:
        text = rendered([{"role": each.role, "content": each.content} for each in messages])
        return TokenizedChat(text=text, token_ids=tuple(map(ord, text)))

    def another(messages: Sequence[Message]) -> TokenizedChat:
        text = render(messages).text + "\n"
        return TokenizedChat(text=text, token_ids=tuple(map(ord, text)))

    assert await prove_prompt_parity(probe, render) == len(PARITY_CONVERSATIONS)
    with pytest.raises(TemplateRejectedError, match="token ids differ"):
        await prove_prompt_parity(probe, another)


async def test_the_bots_client_asks_for_base_and_adapter_by_name(server: VllmDouble) -> None:
    question = (Message(role="user", content="Hello"),)
    options = GenerationOptions()
    client = TgiTextGenerator(server.url, adapters=["first", "gone"], base_name=BASE)
    try:
        plain = await client.chat(question, adapter=None, options=options)
        assert plain.text == f"{BASE} says hello"
        parts = [part async for part in client.stream(question, adapter="first", options=options)]
        assert isinstance(parts[-1], Generation)
        assert parts[-1].text.strip() == "weights-1 says hello"
        with pytest.raises((AdapterNotServedError, InvalidInputError), match="gone"):
            await client.chat(question, adapter="gone", options=options)
    finally:
        await client.aclose()
