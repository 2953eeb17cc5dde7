"""Asks vLLM what proofs need: its routes are others than TGI's.

`/v1/completions` with `return_tokens_as_token_ids` tells token ids with their log-probabilities,
`/tokenize` the ids of a rendered conversation. No route tells which snapshot is served: the base's
own probes show another one.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import httpx2

from feedback.errors import AdapterNotServedError
from feedback.ports import Message
from feedback.serving.failures import from_response, mapped
from feedback.serving.tgi import ScoredGeneration, TokenizedChat

_TOKEN = "token_id:"  # noqa: S105  (how vLLM writes the id of a token)


class VllmProbe:
    """Fits retrain.publishing.prover.ServerProbe for one vLLM server.

    Args:
        base_url: Root of the server, without `/v1`.
        adapters: Names that it should serve.
        token: vLLM's --api-key.
    """

    def __init__(
        self, base_url: str, *, adapters: Collection[str] = (), token: str | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._adapters = frozenset(adapters)
        self._base_name: str | None = None
        self._http = httpx2.AsyncClient(
            headers={"authorization": f"Bearer {token or '-'}"},
            timeout=httpx2.Timeout(None, connect=5.0),
            trust_env=False,
        )

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return self._base_url

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def info(self) -> dict[str, Any]:
        """Returns what the server tells of its base: nothing that names a snapshot."""
        return {"model_id": await self._base()}

    async def generate_details(
        self, prompt: str, *, adapter: str | None, max_tokens: int = 32, timeout_s: float = 60.0
    ) -> ScoredGeneration:
        """Decodes greedily from raw text and returns token ids with log-probabilities."""
        if adapter is not None and adapter not in self._adapters:
            raise AdapterNotServedError(
                f"adapter {adapter} is not in the deployment at {self._base_url}; publish it first"
            )
        body = {
            "model": adapter or await self._base(),
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": 0,
            "logprobs": 1,
            "return_tokens_as_token_ids": True,
        }
        async with mapped(self._base_url, what="completion"), asyncio.timeout(timeout_s):
            choice = (await self._ask("POST", "/v1/completions", body))["choices"][0]
            scored = choice["logprobs"]
            return ScoredGeneration(
                text=choice["text"],
                token_ids=tuple(int(each.removeprefix(_TOKEN)) for each in scored["tokens"]),
                logprobs=tuple(float(each) for each in scored["token_logprobs"]),
                finish_reason=str(choice["finish_reason"]),
            )

    async def chat_tokenize(
        self, messages: Sequence[Message], *, timeout_s: float = 30.0
    ) -> TokenizedChat:
        """Returns the token ids of the server's rendering; vLLM does not tell its text."""
        # TGI continues a last message of the assistant by itself; vLLM has to be told.
        continued = messages[-1].role == "assistant"
        body = {
            "model": await self._base(),
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "add_generation_prompt": not continued,
            "continue_final_message": continued,
        }
        async with mapped(self._base_url, what="tokenize"), asyncio.timeout(timeout_s):
            answer = await self._ask("POST", "/tokenize", body)
            return TokenizedChat(text="", token_ids=tuple(int(each) for each in answer["tokens"]))

    async def _base(self) -> str:
        """Returns what the server calls its base: the entry that stands on nothing else."""
        if self._base_name is None:
            async with mapped(self._base_url, what="models"), asyncio.timeout(10.0):
                cards = (await self._ask("GET", "/v1/models"))["data"]
                self._base_name = str(next(c["id"] for c in cards if not c.get("parent")))
        return self._base_name

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        response = await self._http.request(method, self._base_url + path, json=body)
        if response.status_code != 200:
            kind = response.headers.get("content-type", "")
            raise from_response(response.status_code, kind, response.text, self._base_url)
        return response.json()
