"""A small HTTP server that answers as vLLM 0.32 does, as far as publishing and proofs ask it."""

import hashlib
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.integration.platforms.pods import Changing, nothing
from tests.served import served

BASE = "house-model"
VOCABULARY = 1000


class VllmDouble:
    """One server with adapters that are loaded and unloaded while it runs.

    Attributes:
        root: What the server sees as `/adapters`.
        runtime: Whether it was started with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1.
        swapped: Names that answer with other weights than those of their file.
        down: Refuses everything, as while it starts.
        changing: Called just before and just after what is loaded changes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.adapters: dict[str, str] = {}
        self.loads: list[str] = []
        self.runtime = True
        self.down = False
        self.swapped: set[str] = set()
        self.url = ""
        self.changing: Changing = nothing

    def restart(self) -> None:
        """Forgets what was loaded at run time."""
        self.adapters.clear()

    def answers(self, model: str) -> str:
        """Whose weights answer under a name."""
        if model == BASE:
            return BASE
        return "others" if model in self.swapped else self.adapters[model]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._refuse_while_down])
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.get("/served", self._served),
                web.post("/v1/load_lora_adapter", self._load),
                web.post("/v1/unload_lora_adapter", self._unload),
                web.post("/v1/completions", self._complete),
                web.post("/v1/chat/completions", self._chat),
                web.post("/tokenize", self._tokenize),
                web.post("/detokenize", self._detokenize),
            ]
        )
        return app

    @web.middleware
    async def _refuse_while_down(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        if self.down:
            assert request.transport is not None
            request.transport.abort()
        return await handler(request)

    async def _models(self, _: web.Request) -> web.Response:
        cards = [{"id": BASE, "object": "model", "root": "/model", "parent": None}]
        cards += [
            {"id": name, "object": "model", "root": path, "parent": BASE}
            for name, path in self.adapters.items()
        ]
        return web.json_response({"object": "list", "data": cards})

    async def _served(self, _: web.Request) -> web.Response:
        return web.json_response([name for name in self.adapters if name not in self.swapped])

    async def _load(self, request: web.Request) -> web.Response:
        if not self.runtime:
            return web.json_response({"detail": "Not Found"}, status=404)
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        if name in self.adapters:
            return _error(
                400,
                "InvalidUserInput",
                f"The lora adapter '{name}' has already been loaded. If you want to load the "
                "adapter in place, set 'load_inplace' to True.",
            )
        if not (self.root / path.removeprefix("/adapters/")).is_dir():
            return _error(404, "NotFoundError", f"Loading lora {name} failed: No adapter found")
        await self.changing()
        self.adapters[name] = path
        self.loads.append(name)
        await self.changing()
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if name not in self.adapters:
            return _error(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        await self.changing()
        del self.adapters[name]
        await self.changing()
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        if (unknown := self._unknown(body["model"])) is not None:
            return unknown
        assert body["temperature"] == 0, "a probe must be greedy"
        assert body["return_tokens_as_token_ids"], "text does not tell tokens apart"
        ids = scripted(self.answers(body["model"]), body["prompt"], body["max_tokens"])
        choice = {
            "index": 0,
            "text": " ".join(map(str, ids)),
            "finish_reason": "length",
            "logprobs": {
                "tokens": [f"token_id:{each}" for each in ids],
                "token_logprobs": [-each / VOCABULARY for each in ids],
            },
        }
        return web.json_response({"object": "text_completion", "choices": [choice]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (unknown := self._unknown(body["model"])) is not None:
            return unknown
        text = f"{self.answers(body['model'])} says hello"
        usage = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
        common = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            answer = {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
            return web.json_response(answer)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant"}, None)]
        deltas += [({"content": f"{word} "}, None) for word in text.split()] + [({}, "stop")]
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": None}
            for delta, reason in deltas
        ]
        for chunk in [*chunks, {"choices": [], "usage": usage}]:
            event = {**common, "object": "chat.completion.chunk", **chunk}
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        ids = [ord(letter) for letter in rendered(body["messages"])]
        return web.json_response({"count": len(ids), "max_model_len": 4096, "tokens": ids})

    async def _detokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"prompt": "".join(map(chr, body["tokens"]))})

    def _unknown(self, model: str) -> web.Response | None:
        if model == BASE or model in self.adapters:
            return None
        return _error(404, "NotFoundError", f"The model `{model}` does not exist.")


def rendered(messages: list[dict[str, str]]) -> str:
    """The chat template of these servers."""
    turns = [f"<|{message['role']}|>{message['content']}" for message in messages]
    return "".join(turns) + "<|assistant|>"


def scripted(weights: str, prompt: str, tokens: int) -> list[int]:
    """Tokens that depend on weights and prompt, and on nothing else."""
    digest = hashlib.sha256(f"{weights}\n{prompt}".encode()).digest()
    return [byte % VOCABULARY for byte in digest[:tokens]]


async def serving(stack: AsyncExitStack, root: Path, count: int) -> list[VllmDouble]:
    """Starts servers that end with the stack."""
    doubles = [VllmDouble(root) for _ in range(count)]
    for double in doubles:
        double.url = await stack.enter_async_context(served(double.app()))
    return doubles


def _error(status: int, kind: str, message: str) -> web.Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": status}}
    return web.json_response(body, status=status)
