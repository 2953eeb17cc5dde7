"""Text generation over huggingface_hub's AsyncInferenceClient, against any TGI-like server.

Traps that shape this file (tried with 2.4.0): without a token HF_TOKEN would be sent to the server;
a stream that ends early raises nothing; the client keeps every stream's connection until it is
closed; `timeout` bounds single reads only; an unknown adapter is answered by the base model.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import AsyncInferenceClient

from feedback.domain.rollout import TGI_BASE_NAME
from feedback.errors import AdapterNotServedError, StreamBrokenError
from feedback.ports import Generation, GenerationOptions, Message
from feedback.serving.breaker import CircuitBreaker
from feedback.serving.failures import from_response, mapped

_CONNECT_S = 5.0
_IDLE_S = 2.0
"""Servers on uvicorn (vLLM's too) close what was idle for 5 s: we must be the first to, or a
request meets the closing."""
_NO_KEY = "-"


@dataclass(frozen=True, kw_only=True)
class ScoredGeneration:
    """Greedy tokens with their log-probabilities: the raw material of probe signatures."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str


@dataclass(frozen=True, kw_only=True)
class TokenizedChat:
    """How the server renders a conversation.

    Attributes:
        text: Empty where a server tells ids only.
    """

    text: str
    token_ids: tuple[int, ...]


class _PooledClient(AsyncInferenceClient):
    """One use of the hub client on a shared connection pool.

    The hub's own client holds each stream's connection until the whole client is closed. With one
    light instance a call, closing it frees exactly that stream, and so the server's row; the pool
    (whose TLS setup costs about 30 ms) lives on.
    """

    def __init__(self, pool: httpx2.AsyncClient, base_url: str, token: str) -> None:
        super().__init__(base_url=base_url, token=token)
        self._pool = pool

    async def _get_async_client(self) -> httpx2.AsyncClient:
        return self._pool


class TgiTextGenerator:
    """Implements feedback.ports.TextGenerator for one server.

    Args:
        base_url: Root of the server, without `/v1`; for another server make another instance.
        adapters: Names this server is known to serve. TGI answers other names with the base model,
            so they are refused here.
        base_name: What the engine calls its base: `tgi`; for vLLM the served model name.
        token: The server's API key; a placeholder is sent when there is none.
        breaker: Of this server, shared by everybody who asks it; None always asks.
    """

    def __init__(
        self,
        base_url: str,
        *,
        adapters: Collection[str] = (),
        base_name: str = TGI_BASE_NAME,
        token: str | None = None,
        max_connections: int = 100,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._adapters = frozenset(adapters)
        self._base_name = base_name
        self._token = token or _NO_KEY
        self._breaker = breaker
        self._pool = httpx2.AsyncClient(
            limits=httpx2.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_connections,
                keepalive_expiry=_IDLE_S,
            ),
            timeout=httpx2.Timeout(None, connect=_CONNECT_S),
            trust_env=False,
            event_hooks={"response": [_read_refusal]},
        )

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return self._base_url

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._pool.aclose()

    async def chat(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> Generation:
        """Returns the finished answer; see the port for what it raises."""
        model = self._model(adapter)
        async with self._call(options.timeout_s) as client:
            answer: Any = await client.chat_completion(
                _payload(messages), model=model, stream=False, **_decoding(options)
            )
            choice, usage = answer.choices[0], answer.usage
            return Generation(
                text=choice.message.content or "",
                finish_reason=str(choice.finish_reason),
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                model=answer.model,
                endpoint=self._base_url,
            )

    async def stream(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> AsyncGenerator[str | Generation, None]:
        """Yields text deltas and, last, the finished Generation.

        Leaving the loop early (close the generator) closes the connection, which frees the
        server's row. The deadline covers the whole answer.

        Raises:
            StreamBrokenError: The stream ended without a finish reason.
        """
        model = self._model(adapter)
        deadline = asyncio.get_running_loop().time() + options.timeout_s
        parts: list[str] = []
        finish, usage, name = "", (0, 0), model
        async with self._call(None, stream=True) as client:
            async with asyncio.timeout_at(deadline):
                chunks: Any = await client.chat_completion(
                    _payload(messages),
                    model=model,
                    stream=True,
                    # Over extra_body: the typed argument wants an object that cannot be JSON.
                    extra_body={"stream_options": {"include_usage": True}},
                    **_decoding(options),
                )
            # The deadline is set anew around each read: a timeout must not span a `yield`, or it
            # would cancel the consumer instead of the read.
            async with aclosing(chunks):
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    name = chunk.model or name
                    if chunk.usage is not None:
                        usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                    for choice in chunk.choices:
                        finish = choice.finish_reason or finish
                        if choice.delta.content:
                            parts.append(choice.delta.content)
                            yield choice.delta.content
        if not finish:
            raise StreamBrokenError(
                f"{self._base_url} ended a stream after {len(parts)} parts without a finish reason"
            )
        yield Generation(
            text="".join(parts),
            finish_reason=str(finish),
            prompt_tokens=usage[0],
            completion_tokens=usage[1] or len(parts),
            model=name,
            endpoint=self._base_url,
        )

    async def generate_details(
        self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
    ) -> ScoredGeneration:
        """Decodes greedily from raw text and returns token ids with log-probabilities."""
        self._model(adapter)
        async with self._call(timeout_s, path="/generate") as client:
            answer: Any = await client.text_generation(
                prompt,
                details=True,
                stream=False,
                do_sample=False,
                max_new_tokens=max_tokens,
                return_full_text=False,
                adapter_id=adapter,
            )
            tokens = answer.details.tokens
            return ScoredGeneration(
                text=answer.generated_text,
                token_ids=tuple(int(token.id) for token in tokens),
                # TGI writes null for a log-probability that is not a number.
                logprobs=tuple(
                    math.nan if token.logprob is None else float(token.logprob) for token in tokens
                ),
                finish_reason=str(answer.details.finish_reason),
            )

    async def chat_tokenize(
        self, messages: Sequence[Message], *, timeout_s: float = 30.0
    ) -> TokenizedChat:
        """Returns the server's rendering of a conversation and its token ids."""
        body = {"messages": _payload(messages)}
        data: Any = await self._post("/chat_tokenize", body, timeout_s)
        async with mapped(self._base_url, what="chat_tokenize"):
            return TokenizedChat(
                text=data["templated_text"],
                token_ids=tuple(int(token["id"]) for token in data["tokenize_response"]),
            )

    async def info(self, *, timeout_s: float = 10.0) -> dict[str, Any]:
        """Returns the server's `/info`."""
        async with mapped(self._base_url, what="info"), asyncio.timeout(timeout_s):
            response = await self._pool.get(f"{self._base_url}/info")
            self._raise_for(response)
            data: dict[str, Any] = response.json()
            return data

    async def healthy(self, *, timeout_s: float = 5.0) -> bool:
        """Whether the server says it can answer."""
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._pool.get(f"{self._base_url}/health")
        except (httpx2.HTTPError, OSError, TimeoutError):
            return False
        return response.status_code == 200

    def _model(self, adapter: str | None) -> str:
        """Returns the wire name.

        Raises:
            AdapterNotServedError: The name is not in the allowed set.
        """
        if adapter is None:
            return self._base_name
        if adapter not in self._adapters:
            served = ", ".join(sorted(self._adapters)) or "none"
            raise AdapterNotServedError(
                f"adapter {adapter} is not in the deployment at {self._base_url} (served: "
                f"{served}); publish it first"
            )
        return adapter

    @asynccontextmanager
    async def _call(
        self, timeout_s: float | None, path: str = "", *, stream: bool = False
    ) -> AsyncIterator[AsyncInferenceClient]:
        async with (
            self._guarding(),
            mapped(self._base_url, what="generation", stream=stream),
            asyncio.timeout(timeout_s),
        ):
            client = _PooledClient(self._pool, self._base_url + path, self._token)
            try:
                yield client
            finally:
                await client.close()  # type: ignore[no-untyped-call]

    def _guarding(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._breaker is None else self._breaker.guarding()

    async def _post(self, path: str, body: dict[str, Any], timeout_s: float) -> object:
        async with mapped(self._base_url, what=path.removeprefix("/")), asyncio.timeout(timeout_s):
            response = await self._pool.post(
                f"{self._base_url}{path}",
                json=body,
                headers={"authorization": f"Bearer {self._token}"},
            )
            self._raise_for(response)
            return response.json()

    def _raise_for(self, response: httpx2.Response) -> None:
        if response.status_code != 200:
            kind = response.headers.get("content-type", "")
            raise from_response(response.status_code, kind, response.text, self._base_url)


async def _read_refusal(response: httpx2.Response) -> None:
    """Reads error answers to streams too: the hub's client looks into them without reading."""
    if response.is_error:
        await response.aread()


def _payload(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _decoding(options: GenerationOptions) -> dict[str, Any]:
    """Everything explicit: TGI would otherwise sample at temperature 1 with a random seed."""
    return {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
        "stop": list(options.stop) or None,
    }
