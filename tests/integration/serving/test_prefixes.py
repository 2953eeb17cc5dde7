"""A prompt that begins like an earlier one gives the very same numbers as one that is run whole."""

from pathlib import Path

import httpx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.server.decoder import BLOCK, KeyValueCache, Prompt
from retrain.server.lora import LoraBank, load_adapter
from retrain.server.prefixes import PrefixCache
from retrain.server.run import ServerOptions
from retrain.server.snapshot import Snapshot, load_snapshot
from tests.model_server import running_server
from tests.serving_fixtures import NAMES

LONG = "How do I reset the export token of my workspace? " * 5


@pytest.fixture(scope="module")
def snapshot(tiny_base: Path) -> Snapshot:
    torch.set_num_threads(1)
    return load_snapshot(tiny_base, max_positions=512)


@pytest.fixture(scope="module")
def bank(snapshot: Snapshot, tiny_adapters: dict[str, Path]) -> LoraBank:
    shape = snapshot.decoder.dimensions.lora_shape()
    loaded = [load_adapter(name, path, shape) for name, path in tiny_adapters.items()]
    return LoraBank(loaded, shape)


COMMON = [(7 * number) % 251 for number in range(160)]
ASKED = st.lists(
    st.tuples(
        st.integers(0, 160),  # how much of COMMON it begins with
        st.lists(st.integers(0, 255), min_size=1, max_size=70),
        st.integers(0, 2),  # adapter
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(asked=ASKED, max_blocks=st.sampled_from([1, 4, 1000]))
def test_keys_values_and_logits_are_bit_equal(
    snapshot: Snapshot, bank: LoraBank, asked: list[tuple[int, list[int], int]], max_blocks: int
) -> None:
    """Whatever came before, and whatever had to go for lack of room."""
    decoder = snapshot.decoder
    cache = KeyValueCache(decoder.dimensions, rows=1, positions=BLOCK)
    prefixes = PrefixCache(max_blocks * cache.read(0, 0, BLOCK).nbytes)
    for shared, rest, adapter in asked:
        tokens = COMMON[:shared] + rest
        known = prefixes.find(adapter, tokens)
        cache.reserve(1, len(tokens) + 1)
        for number, block in enumerate(known):
            cache.write(0, number * BLOCK, block)
        prompt = Prompt(slot=0, tokens=tokens, lora=bank.single(adapter), start=len(known) * BLOCK)
        logits = decoder.prompts(cache, [prompt])
        prefixes.keep(adapter, tokens, cache, 0)

        fresh = KeyValueCache(decoder.dimensions)
        whole = decoder.prompt(fresh, 0, tokens, bank.single(adapter))
        assert torch.equal(whole, logits)
        length = len(tokens)
        assert torch.equal(fresh.read(0, 0, length), cache.read(0, 0, length))


def test_what_is_known_is_known_for_its_adapter_alone(snapshot: Snapshot, bank: LoraBank) -> None:
    decoder = snapshot.decoder
    cache = KeyValueCache(decoder.dimensions)
    prefixes = PrefixCache(2**24)
    decoder.prompt(cache, 0, COMMON, bank.single(1))
    prefixes.keep(1, COMMON, cache, 0)
    assert len(prefixes.find(1, COMMON)) == len(COMMON) // BLOCK - 1  # one token is left to run
    assert len(prefixes.find(1, [*COMMON, 1])) == len(COMMON) // BLOCK
    assert len(prefixes.find(1, [*COMMON[:70], *COMMON])) == 70 // BLOCK
    assert prefixes.find(0, COMMON) == prefixes.find(2, COMMON) == []


def test_the_longest_unused_goes_first(snapshot: Snapshot) -> None:
    decoder = snapshot.decoder
    cache = KeyValueCache(decoder.dimensions)
    prefixes = PrefixCache(4 * cache.read(0, 0, BLOCK).nbytes)
    one, two, three = ([first, *COMMON[: 2 * BLOCK]] for first in (1, 2, 3))
    prefixes.keep(0, one, cache, 0)
    prefixes.keep(0, two, cache, 0)
    assert len(prefixes.find(0, one)) == 2
    prefixes.keep(0, three, cache, 0)
    assert [len(prefixes.find(0, tokens)) for tokens in (one, two, three)] == [2, 0, 2]


def answers(url: str) -> list[object]:
    with httpx.Client(base_url=url, timeout=60) as client:
        return [
            client.post(
                "/generate",
                json={
                    "inputs": LONG + ending,
                    "parameters": {"max_new_tokens": 8, "details": True, "adapter_id": name},
                },
            ).json()
            for ending in ("Why?", "How?")
            for name in (None, *NAMES)
        ]


def test_answers_are_the_same_with_and_without(
    tiny_base: Path, tiny_adapters: dict[str, Path]
) -> None:
    options = ServerOptions(model=tiny_base, adapters=tiny_adapters, prefix_cache_mb=0)
    with running_server(options) as url:
        expected = answers(url)
        assert "understudy_prefix_reused_tokens 0" in httpx.get(f"{url}/metrics").text
    with running_server(ServerOptions(model=tiny_base, adapters=tiny_adapters)) as url:
        assert answers(url) == expected
        assert answers(url) == expected
        page = httpx.get(f"{url}/metrics").text
    (line,) = [line for line in page.splitlines() if line.startswith("understudy_prefix")]
    # The second ending, for each of four, and every prompt of the second round.
    assert int(line.split()[1]) >= 12 * BLOCK


def test_a_cache_that_grew_within_a_step_takes_what_is_known(snapshot: Snapshot) -> None:
    cache = KeyValueCache(snapshot.decoder.dimensions, rows=1, positions=BLOCK)
    known = torch.ones_like(cache.read(0, 0, BLOCK))
    with torch.inference_mode():
        cache.reserve(4, 4 * BLOCK)
    cache.write(3, BLOCK, known)
    cache.move(3, 0, 2 * BLOCK)
    assert torch.equal(cache.read(0, BLOCK, 2 * BLOCK), known)
