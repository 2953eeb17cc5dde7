"""Proof of load: shows that a server really answers with the adapter it was given.

A server may answer an unknown adapter with the base model and status 200, mix adapters between
rows of a batch, or render another prompt than was trained on. No route tells; only answers do.
So the greedy tokens and log-probabilities of fixed prompts are recorded after training, from
transformers + peft, and every server must reproduce them before it gets any traffic.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from feedback.errors import (
    AdapterNotServedError,
    ConfigurationError,
    OverloadedError,
    TemplateRejectedError,
)
from feedback.ports import Message
from feedback.serving.tgi import ScoredGeneration, TokenizedChat
from retrain.publishing.probes import PARITY_CONVERSATIONS, PROBE_TOKENS

LOGPROB_TOLERANCE = 0.02
"""fp32 kernels of two libraries differ by far less; another adapter differs by far more."""

Precision = Literal["fp32", "half"]
"""How a server computes: in fp32 answers are equal, in half precision only nearest."""

_OVERLOAD_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""A server with fewer places than a test has requests says 429 at once."""

Generate = Callable[[str, str | None], Awaitable[ScoredGeneration]]
"""Greedy generation: (prompt text, adapter name or None for the base)."""


class ProbeClient(Protocol):
    """What proofs ask of a client; TgiTextGenerator fits."""

    async def generate_details(
        self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
    ) -> ScoredGeneration:
        """Decodes greedily from raw text."""
        ...

    async def chat_tokenize(
        self, messages: Sequence[Message], *, timeout_s: float = 30.0
    ) -> TokenizedChat:
        """Returns the server's rendering."""
        ...


@dataclass(frozen=True, kw_only=True)
class ProbeAnswer:
    """Greedy tokens of one probe with their log-probabilities."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ProbeSignature:
    """How base and adapter answer fixed prompts; stored with the adapter."""

    prompts: tuple[str, ...]
    base: tuple[ProbeAnswer, ...]
    adapter: tuple[ProbeAnswer, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values; `from_json` reads them back."""
        return asdict(self)

    def telling(self, probes: int) -> "ProbeSignature":
        """Returns the probes that tell adapter and base apart best, at most so many."""
        apart = [
            (one.token_ids == other.token_ids, number)
            for number, (one, other) in enumerate(zip(self.base, self.adapter, strict=True))
        ]
        kept = sorted(number for _, number in sorted(apart)[:probes])
        return ProbeSignature(
            prompts=tuple(self.prompts[number] for number in kept),
            base=tuple(self.base[number] for number in kept),
            adapter=tuple(self.adapter[number] for number in kept),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ProbeSignature":
        """Reads what `to_json` wrote.

        Raises:
            ConfigurationError: When it is no signature.
        """
        try:
            return cls(
                prompts=tuple(data["prompts"]),
                base=_answers(data["base"]),
                adapter=_answers(data["adapter"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise ConfigurationError(
                f"this is no probe signature ({exc!r}); sign the adapter again"
            ) from exc


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far two sets of answers are apart.

    Attributes:
        tokens: Share of token positions, after the first difference of each probe, 0..1.
        logprob: Largest difference of log-probability before the first differing token.
    """

    tokens: float
    logprob: float

    def within(self, tolerance: float) -> bool:
        """Whether the answers are the same but for rounding."""
        return self.tokens == 0.0 and self.logprob <= tolerance


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Evidence that one adapter is served; every distance is of observed answers."""

    adapter: str
    probes: int
    from_expected: Distance
    from_base: Distance
    base_from_expected: Distance

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """Evidence that rows of one batch do not touch each other."""

    requests: int
    at_once: int
    mismatches: int


async def signature(
    prompts: Sequence[str], generate: Generate, *, adapter: str | None
) -> ProbeSignature:
    """Records how base and adapter answer, one request at a time.

    Args:
        prompts: Raw prompt texts (rendered conversations).
        generate: Greedy generation of PROBE_TOKENS tokens.
        adapter: The adapter's name; None signs the base against itself.
    """
    return ProbeSignature(
        prompts=tuple(prompts),
        base=tuple([_answer(await generate(prompt, None)) for prompt in prompts]),
        adapter=tuple([_answer(await generate(prompt, adapter)) for prompt in prompts]),
    )


async def prove(
    client: ProbeClient,
    adapter: str,
    expected: ProbeSignature,
    *,
    precision: Precision = "fp32",
    tolerance: float = LOGPROB_TOLERANCE,
) -> Proof:
    """Shows that a server answers with this adapter.

    Args:
        client: Talks to the server.
        adapter: The served name.
        expected: What was recorded after training.
        precision: `fp32` demands the same tokens; `half` (GPU servers) that the answers are
            nearer to the adapter's signature than to the base's.
        tolerance: Allowed difference of log-probabilities in fp32.

    Raises:
        AdapterNotServedError: The answers are the base's, or another adapter's.
        ConfigurationError: The base itself answers differently: another snapshot is served.
        RetryableError: The server cannot be asked now.
    """
    observed = await signature(expected.prompts, _probe(client), adapter=adapter)
    proof = Proof(
        adapter=adapter,
        probes=len(expected.prompts),
        from_expected=distance(observed.adapter, expected.adapter),
        from_base=distance(observed.adapter, observed.base),
        base_from_expected=distance(observed.base, expected.base),
    )
    exact = precision == "fp32"
    if exact and not proof.base_from_expected.within(tolerance):
        raise ConfigurationError(
            f"the served base answers {_far(proof.base_from_expected)} from the base that "
            f"{adapter} was trained on; serve that snapshot as it was published"
        )
    if proof.from_base.within(tolerance):
        raise AdapterNotServedError(
            f"the server answers {adapter} with the base model: the name is not loaded there (an "
            "unknown name gets the base and status 200) or the adapter changes nothing"
        )
    nearest = _nearer(observed.adapter, expected.adapter, expected.base)
    if not (proof.from_expected.within(tolerance) if exact else nearest):
        raise AdapterNotServedError(
            f"answers under the name {adapter} are {_far(proof.from_expected)} from those recorded "
            "after training: other weights are loaded, or they are applied wrongly"
        )
    return proof


async def prove_isolation(
    client: ProbeClient,
    adapters: Sequence[str | None],
    prompts: Sequence[str],
    *,
    requests: int = 120,
    at_once: int = 120,
    precision: Precision = "fp32",
) -> Isolation:
    """Interleaves base and adapters and demands every answer that they gave one at a time.

    Args:
        client: Talks to the server.
        adapters: Names to mix; None is the base.
        prompts: Raw prompt texts.
        requests: How many to send at least.
        at_once: How many are in flight together.
        precision: `fp32` demands the same tokens; `half`, where the size of a batch moves the last
            digits, that no answer is nearer to another adapter's than to its own.

    Raises:
        AdapterNotServedError: An answer changed by being in a mixed batch.
    """
    pairs = [(prompt, adapter) for prompt in prompts for adapter in adapters]
    generate = _probe(client)
    alone = {pair: _answer(await generate(*pair)) for pair in pairs}
    gate = asyncio.Semaphore(at_once)

    def is_own(answer: ProbeAnswer, prompt: str, adapter: str | None) -> bool:
        own = alone[prompt, adapter]
        if precision == "fp32":
            return answer.token_ids == own.token_ids
        others = [alone[prompt, other] for other in adapters if other != adapter]
        return not any(_nearer([answer], to=[other], than=[own]) for other in others)

    async def one(prompt: str, adapter: str | None) -> bool:
        async with gate:
            answer = _answer(await _patiently(generate, prompt, adapter))
        return is_own(answer, prompt, adapter)

    rounds = -(-requests // len(pairs))
    results = await asyncio.gather(*(one(*pair) for _ in range(rounds) for pair in pairs))
    report = Isolation(
        requests=len(results), at_once=at_once, mismatches=sum(not same for same in results)
    )
    if report.mismatches:
        raise AdapterNotServedError(
            f"{report.mismatches} of {report.requests} answers changed when base and adapters "
            f"({', '.join(str(name or 'base') for name in adapters)}) were asked together: the "
            "server mixes adapters between rows"
        )
    return report


async def prove_prompt_parity(
    client: ProbeClient,
    render: Callable[[Sequence[Message]], TokenizedChat],
    conversations: Sequence[Sequence[Message]] = PARITY_CONVERSATIONS,
) -> int:
    """Shows that the server renders conversations as training does; returns how many.

    Args:
        client: Talks to the server.
        render: Training's rendering (transformers' chat template) and token ids.
        conversations: What to compare.

    Raises:
        TemplateRejectedError: Text or token ids differ.
    """
    for messages in conversations:
        served, trained = await client.chat_tokenize(messages), render(messages)
        same_text = served.text in {trained.text, ""}  # vLLM tells ids alone, and they decide
        if not same_text or served.token_ids != trained.token_ids:
            raise TemplateRejectedError(
                "the server renders another prompt than training did: "
                f"{_first_difference(trained, served)}; serve the tokenizer files that were "
                "trained with, and write template tags with dashes ({%- ... -%})"
            )
    return len(conversations)


def distance(observed: Sequence[ProbeAnswer], expected: Sequence[ProbeAnswer]) -> Distance:
    """Returns how far two sets of answers to the same prompts are apart."""
    different = total = 0
    logprob = 0.0
    for one, other in zip(observed, expected, strict=True):
        length = max(len(one.token_ids), len(other.token_ids))
        pairs = zip(one.token_ids, other.token_ids, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
        if same is None:
            same = min(len(one.token_ids), len(other.token_ids))
        different += length - same
        total += length
        gaps = (abs(one.logprobs[n] - other.logprobs[n]) for n in range(same))
        logprob = max(logprob, *gaps, 0.0)
    return Distance(tokens=different / max(total, 1), logprob=logprob)


def _nearer(
    observed: Sequence[ProbeAnswer], to: Sequence[ProbeAnswer], than: Sequence[ProbeAnswer]
) -> bool:
    near, far = distance(observed, to), distance(observed, than)
    return (near.tokens, near.logprob) < (far.tokens, far.logprob)


def _probe(client: ProbeClient) -> Generate:
    async def generate(prompt: str, adapter: str | None) -> ScoredGeneration:
        return await client.generate_details(prompt, adapter=adapter, max_tokens=PROBE_TOKENS)

    return generate


async def _patiently(generate: Generate, prompt: str, adapter: str | None) -> ScoredGeneration:
    """Asks again where all places are taken: to be full is no fault of a server."""
    for wait_s in _OVERLOAD_WAITS_S:
        try:
            return await generate(prompt, adapter)
        except OverloadedError:
            await asyncio.sleep(wait_s)
    return await generate(prompt, adapter)


def _answer(generation: ScoredGeneration) -> ProbeAnswer:
    # Six digits survive JSON and are far below the tolerance.
    rounded = tuple(round(value, 6) for value in generation.logprobs)
    return ProbeAnswer(token_ids=generation.token_ids, logprobs=rounded)


def _answers(data: Sequence[Mapping[str, Any]]) -> tuple[ProbeAnswer, ...]:
    return tuple(
        ProbeAnswer(
            token_ids=tuple(int(token) for token in answer["token_ids"]),
            logprobs=tuple(float(value) for value in answer["logprobs"]),
        )
        for answer in data
    )


def _far(apart: Distance) -> str:
    return f"{apart.tokens:.0%} of tokens and {apart.logprob:.3g} in log-probability away"


def _first_difference(trained: TokenizedChat, served: TokenizedChat) -> str:
    if served.text in {trained.text, ""}:
        return f"token ids differ for {trained.text[:60]!r}"
    pairs = zip(trained.text, served.text, strict=False)
    at = next(
        (n for n, (a, b) in enumerate(pairs) if a != b), min(len(trained.text), len(served.text))
    )
    return (
        f"at character {at} training has {trained.text[at : at + 20]!r}, the server "
        f"{served.text[at : at + 20]!r}"
    )
