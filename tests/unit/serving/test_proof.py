"""Proofs against a server whose faults are planted."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from feedback.errors import (
    AdapterNotServedError,
    ConfigurationError,
    OverloadedError,
    TemplateRejectedError,
)
from feedback.ports import Message
from feedback.serving.tgi import ScoredGeneration, TokenizedChat
from retrain.publishing import proof
from retrain.publishing.proof import (
    ProbeSignature,
    prove,
    prove_isolation,
    prove_prompt_parity,
    signature,
)

PROMPTS = ("one", "two", "three")


class ScriptedServer:
    """Answers with tokens that depend on the prompt and on which weights a name stands for.

    Args:
        weights: Name to weights id; unknown names get the base, as from TGI.
        noise: Added to log-probabilities.
        leaks_when_busy: Answers with the base while more than one request runs.
    """

    def __init__(
        self,
        weights: dict[str, int],
        *,
        noise: float = 0.0,
        base: int = 0,
        leaks_when_busy: bool = False,
    ) -> None:
        self.weights, self.noise, self.base, self.leaks = weights, noise, base, leaks_when_busy
        self.running = 0

    async def generate_details(
        self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
    ) -> ScoredGeneration:
        self.running += 1
        try:
            await _yield_to_others()
            which = self.base if adapter is None else self.weights.get(adapter, self.base)
            if self.leaks and self.running > 1:
                which = self.base
        finally:
            self.running -= 1
        tokens = tuple((len(prompt) * 7 + which * 31 + n) % 97 for n in range(4))
        logprobs = tuple(-0.1 * token + self.noise for token in tokens)
        return ScoredGeneration(
            text="", token_ids=tokens, logprobs=logprobs, finish_reason="length"
        )

    async def chat_tokenize(
        self, messages: Sequence[Message], *, timeout_s: float = 30.0
    ) -> TokenizedChat:
        text = "".join(message.content for message in messages)
        return TokenizedChat(text=text, token_ids=tuple(map(ord, text)))


async def _yield_to_others() -> None:
    await asyncio.sleep(0)


async def sign(server: ScriptedServer, name: str) -> ProbeSignature:
    async def generate(prompt: str, adapter: str | None) -> ScoredGeneration:
        return await server.generate_details(prompt, adapter=adapter)

    return await signature(PROMPTS, generate, adapter=name)


async def test_a_signature_survives_json() -> None:
    signed = await sign(ScriptedServer({"a": 1}), "a")
    assert ProbeSignature.from_json(signed.to_json()) == signed
    with pytest.raises(ConfigurationError, match="no probe signature"):
        ProbeSignature.from_json({})


async def test_the_right_adapter_is_proven_despite_rounding() -> None:
    signed = await sign(ScriptedServer({"a": 1}), "a")
    found = await prove(ScriptedServer({"a": 1}, noise=0.001), "a", signed)
    assert found.from_expected.tokens == 0
    assert found.from_base.tokens > 0


@pytest.mark.parametrize(
    ("server", "error", "words"),
    [
        (ScriptedServer({}), AdapterNotServedError, "with the base model"),
        (ScriptedServer({"a": 2}), AdapterNotServedError, "other weights are loaded"),
        (ScriptedServer({"a": 1}, base=5), ConfigurationError, "the served base answers"),
        (ScriptedServer({"a": 1}, noise=0.5), ConfigurationError, "the served base answers"),
    ],
)
async def test_planted_faults_are_caught(
    server: ScriptedServer, error: type[Exception], words: str
) -> None:
    signed = await sign(ScriptedServer({"a": 1}), "a")
    with pytest.raises(error, match=words):
        await prove(server, "a", signed)


async def test_half_precision_asks_for_the_nearest_signature() -> None:
    signed = await sign(ScriptedServer({"a": 1}), "a")
    await prove(ScriptedServer({"a": 1}, noise=0.5), "a", signed, precision="half")
    with pytest.raises(AdapterNotServedError):
        await prove(ScriptedServer({}), "a", signed, precision="half")


async def test_a_leaking_server_fails_the_isolation_test() -> None:
    sound = await prove_isolation(ScriptedServer({"a": 1, "b": 2}), [None, "a", "b"], PROMPTS)
    assert sound.mismatches == 0
    assert sound.requests >= 120
    with pytest.raises(AdapterNotServedError, match="mixes adapters"):
        await prove_isolation(
            ScriptedServer({"a": 1, "b": 2}, leaks_when_busy=True), [None, "a", "b"], PROMPTS
        )


async def test_in_half_precision_a_row_may_drift_but_not_to_another_adapter() -> None:
    class Drifting(ScriptedServer):
        """The last digits depend on who else is in the batch."""

        async def generate_details(
            self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
        ) -> ScoredGeneration:
            answer = await super().generate_details(prompt, adapter=adapter)
            busy = self.running > 0
            tokens = (*answer.token_ids[:-1], answer.token_ids[-1] + busy)
            return replace(answer, token_ids=tokens)

    weights: dict[str, int] = {"a": 1, "b": 2}
    mixed: tuple[str | None, ...] = (None, "a", "b")
    await prove_isolation(Drifting(weights), mixed, PROMPTS, precision="half")
    with pytest.raises(AdapterNotServedError):
        await prove_isolation(Drifting(weights), mixed, PROMPTS)
    leaking = Drifting(weights, leaks_when_busy=True)
    with pytest.raises(AdapterNotServedError):
        await prove_isolation(leaking, mixed, PROMPTS, precision="half")


async def test_all_requests_of_the_isolation_test_are_in_flight_together() -> None:
    class Counting(ScriptedServer):
        most = 0

        async def generate_details(
            self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
        ) -> ScoredGeneration:
            self.most = max(self.most, self.running + 1)
            return await super().generate_details(prompt, adapter=adapter)

    server = Counting({"a": 1, "b": 2})
    await prove_isolation(server, [None, "a", "b"], PROMPTS)
    assert server.most >= 120


async def test_a_full_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_OVERLOAD_WAITS_S", (0.0,) * 50)

    class Small(ScriptedServer):
        async def generate_details(
            self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
        ) -> ScoredGeneration:
            if self.running >= 8:
                raise OverloadedError("full")
            return await super().generate_details(prompt, adapter=adapter)

    report = await prove_isolation(Small({"a": 1}), [None, "a"], PROMPTS)
    assert report.mismatches == 0


async def test_the_probes_of_a_check_are_those_that_tell() -> None:
    class Partly(ScriptedServer):
        """Base and adapter differ in long prompts only."""

        async def generate_details(
            self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
        ) -> ScoredGeneration:
            asked = adapter if len(prompt) > 3 else None
            return await super().generate_details(prompt, adapter=asked)

    signed = await sign(Partly({"a": 1}), "a")
    assert signed.telling(1).prompts == ("three",)
    assert signed.telling(2).prompts == ("one", "three")
    assert signed.telling(9) == signed


async def test_another_rendering_is_caught() -> None:
    server = ScriptedServer({})

    def same(messages: Sequence[Message]) -> TokenizedChat:
        text = "".join(message.content for message in messages)
        return TokenizedChat(text=text, token_ids=tuple(map(ord, text)))

    assert await prove_prompt_parity(server, same) == 5

    def newline(messages: Sequence[Message]) -> TokenizedChat:
        return TokenizedChat(text="\n" + same(messages).text, token_ids=())

    with pytest.raises(TemplateRejectedError, match="at character 0"):
        await prove_prompt_parity(server, newline)

    def ids(messages: Sequence[Message]) -> TokenizedChat:
        return TokenizedChat(text=same(messages).text, token_ids=(1,))

    with pytest.raises(TemplateRejectedError, match="token ids differ"):
        await prove_prompt_parity(server, ids)
