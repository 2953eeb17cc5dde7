"""Rows of one batch do not touch each other, and the decoder equals transformers + peft."""

import asyncio
from pathlib import Path

import httpx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from transformers import LlamaForCausalLM

from feedback.ports import GenerationOptions, Message
from feedback.serving import TgiTextGenerator
from retrain.server.decoder import MIN_ROWS, KeyValueCache, Prompt
from retrain.server.lora import LoraBank, load_adapter
from retrain.server.snapshot import Snapshot, load_snapshot
from tests.serving_fixtures import NAMES

MIX = (None, *NAMES)


@pytest.fixture(scope="module")
def snapshot(tiny_base: Path) -> Snapshot:
    torch.set_num_threads(1)  # as the server: threads share out sums by the shape of the batch
    return load_snapshot(tiny_base, max_positions=512)


@pytest.fixture(scope="module")
def bank(snapshot: Snapshot, tiny_adapters: dict[str, Path]) -> LoraBank:
    shape = snapshot.decoder.dimensions.lora_shape()
    loaded = [load_adapter(name, path, shape) for name, path in tiny_adapters.items()]
    return LoraBank(loaded, shape)


def decode(
    snapshot: Snapshot, bank: LoraBank, rows: list[tuple[list[int], int]], steps: int
) -> torch.Tensor:
    """Returns greedy logits, shape (rows, steps + 1, vocab), of rows that run together."""
    cache = KeyValueCache(snapshot.decoder.dimensions, rows=1, positions=32)
    seen = []
    for slot, (prompt, adapter) in enumerate(rows):
        seen.append([snapshot.decoder.prompt(cache, slot, prompt, bank.single(adapter))[0]])
    padding = [0] * (MIN_ROWS - len(rows))
    lora = bank.gather([adapter for _, adapter in rows] + padding)
    for step in range(steps):
        tokens = [int(logits[-1].argmax()) for logits in seen] + padding
        positions = [len(prompt) + step for prompt, _ in rows] + padding
        logits = snapshot.decoder.step(cache, tokens, positions, lora)
        for slot, row in enumerate(seen):
            row.append(logits[slot].clone())
    return torch.stack([torch.stack(row) for row in seen])


ROWS = st.lists(
    st.tuples(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.integers(0, len(NAMES))),
    min_size=2,
    max_size=9,
)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_a_row_is_the_same_alone_and_in_any_batch(
    snapshot: Snapshot, bank: LoraBank, rows: list[tuple[list[int], int]]
) -> None:
    together = decode(snapshot, bank, rows, steps=6)
    for number, row in enumerate(rows):
        alone = decode(snapshot, bank, [row], steps=6)[0]
        assert torch.equal(alone, together[number])


def test_the_decoder_equals_transformers_and_peft(
    snapshot: Snapshot, bank: LoraBank, tiny_base: Path, tiny_adapters: dict[str, Path]
) -> None:
    prompt = [(13 * number) % 256 for number in range(40)]
    rows = [(prompt, index) for index in range(len(MIX))]
    ours = decode(snapshot, bank, rows, steps=8)
    for index, name in enumerate(MIX):
        plain = LlamaForCausalLM.from_pretrained(tiny_base)
        model: torch.nn.Module = plain
        if name is not None:
            model = PeftModel.from_pretrained(plain, str(tiny_adapters[name]))
        text = prompt + ours[index].argmax(dim=1).tolist()[:-1]
        with torch.inference_mode():
            theirs = model(torch.tensor([text])).logits[0, len(prompt) - 1 :]
        assert torch.equal(theirs.argmax(dim=1), ours[index].argmax(dim=1))
        assert torch.allclose(theirs, ours[index], rtol=0, atol=5e-3)


@settings(max_examples=10, deadline=None)
@given(rows=ROWS)
def test_a_prompt_is_the_same_alone_and_packed_with_others(
    snapshot: Snapshot, bank: LoraBank, rows: list[tuple[list[int], int]]
) -> None:
    decoder = snapshot.decoder
    prompts = [
        Prompt(slot=slot, tokens=tokens, lora=bank.single(adapter))
        for slot, (tokens, adapter) in enumerate(rows)
    ]
    shared = KeyValueCache(decoder.dimensions, rows=1, positions=32)
    together = decoder.prompts(shared, prompts)
    own = KeyValueCache(decoder.dimensions)
    for number, prompt in enumerate(prompts):
        alone = decoder.prompt(own, 0, prompt.tokens, prompt.lora)[0]
        assert torch.equal(alone, together[number])
        length = len(prompt.tokens)
        for mine, theirs in zip(own.layers, shared.layers, strict=True):
            assert torch.equal(mine[0, :, :length], theirs[number, :, :length])


async def test_mixed_concurrent_answers_equal_sequential_ones(server_url: str) -> None:
    options = GenerationOptions(max_tokens=24)
    questions = [
        (Message(role="user", content=f"question {'very ' * number}{number}?"),)
        for number in range(8)
    ]
    jobs = [(question, MIX[number % 4]) for number, question in enumerate(questions)] * 4
    client = TgiTextGenerator(server_url, adapters=NAMES)
    try:
        alone = {}
        for question, adapter in jobs[:8]:
            answer = await client.chat(question, adapter=adapter, options=options)
            alone[question, adapter] = answer.text
        mixed = await asyncio.gather(
            *(client.chat(question, adapter=adapter, options=options) for question, adapter in jobs)
        )
    finally:
        await client.aclose()
    assert [answer.text for answer in mixed] == [alone[job] for job in jobs]
    assert len(set(alone.values())) == 8


async def test_a_seed_gives_the_same_sample_whoever_is_beside_it(server_url: str) -> None:
    async with httpx.AsyncClient(base_url=server_url, timeout=60) as client:

        async def sample(seed: int, adapter: str | None) -> str:
            parameters = {
                "do_sample": True, "temperature": 0.9, "top_p": 0.95, "top_k": 50, "seed": seed,
                "max_new_tokens": 16, "adapter_id": adapter, "repetition_penalty": 1.1,
            }  # fmt: skip
            answer = await client.post(
                "/generate", json={"inputs": "Reset the token", "parameters": parameters}
            )
            return str(answer.json()["generated_text"])

        alone = [await sample(seed, MIX[seed % 4]) for seed in range(8)]
        mixed = await asyncio.gather(*(sample(seed, MIX[seed % 4]) for seed in range(8)))
    assert mixed == alone
    assert len(set(alone)) > 4
