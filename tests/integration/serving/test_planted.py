"""Faults that are planted in a real server: no proof passes over them, and the wire shows them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from feedback.domain.learning import Adapter
from feedback.errors import AdapterNotServedError, ConfigurationError, TemplateRejectedError
from retrain.publishing.prover import AdapterProver
from retrain.server.run import ServerOptions, build_service
from tests.model_server import running_server
from tests.waiting import until

CHAT = {
    "messages": [{"role": "user", "content": "Reset the token"}],
    "max_tokens": 6,
    "temperature": 0,
}


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("drop-adapter=amber", AdapterNotServedError, "amber with the base model"),
        ("swap-adapters=cobalt+amber", AdapterNotServedError, "other weights"),
        ("wrong-rank=amber", AdapterNotServedError, "applied wrongly"),
        ("change-template", TemplateRejectedError, "another prompt than training"),
        ("leak", AdapterNotServedError, "mixes adapters between rows"),
        ("share-prefixes", AdapterNotServedError, "other weights"),
    ],
)
async def test_no_proof_passes_over_a_planted_fault(
    tiny_base: Path,
    tiny_adapters: dict[str, Path],
    signed: list[Adapter],
    fault: str,
    error: type[Exception],
    words: str,
) -> None:
    options = ServerOptions(
        model=tiny_base, adapters=tiny_adapters, faults=[fault], allow_faults=True
    )
    with running_server(options) as url, pytest.raises(error, match=words):
        await AdapterProver(tiny_base, isolation_requests=30).prove(url, signed)


@asynccontextmanager
async def faulty(base: Path, *faults: str) -> AsyncIterator[httpx.AsyncClient]:
    options = ServerOptions(model=base, faults=faults, allow_faults=True)
    with running_server(options) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield client


async def streamed(client: httpx.AsyncClient) -> AsyncIterator[str]:
    body = {**CHAT, "stream": True}
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if line:
                yield line


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "text/plain"), (422, "application/json"), (429, "application/json"),
     (424, "application/json"), (500, "application/json"), (502, "text/html"),
     (503, "application/json"), (408, "text/plain")],
)  # fmt: skip
async def test_an_answer_may_have_any_status(tiny_base: Path, status: int, kind: str) -> None:
    async with faulty(tiny_base, f"status={status}", "fail-after=1") as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
        answer = await client.post("/v1/chat/completions", json=CHAT)
        assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
        info = (await client.get("/info")).json()
        assert info["faults"] == ["fail-after", "status"]


async def test_a_stream_may_break_end_too_soon_or_say_that_it_failed(tiny_base: Path) -> None:
    async with faulty(tiny_base, "cut-stream=2") as client:
        lines = streamed(client)
        assert [await anext(lines), await anext(lines)]
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(lines)

        async def row_gone() -> bool:
            return "tgi_batch_current_size 0" in (await client.get("/metrics")).text

        await until(row_gone)
    async with faulty(tiny_base, "end-stream=2") as client:
        assert len([line async for line in streamed(client)]) == 2
    async with faulty(tiny_base, "error-event=1") as client:
        _, last = [line async for line in streamed(client)]
        assert json.loads(last.removeprefix("data: "))["error"]["http_status_code"] == 422


async def test_a_stream_may_be_slow(tiny_base: Path) -> None:
    loop = asyncio.get_running_loop()
    async with faulty(tiny_base, "slow-first-token=0.3", "slow-tokens=0.02") as client:
        begun = loop.time()
        arrivals = [loop.time() - begun async for _ in streamed(client)]
    assert arrivals[0] >= 0.3
    assert arrivals[-1] >= 0.3 + 5 * 0.02


@pytest.mark.parametrize(
    ("faults", "allowed", "words"),
    [
        (["leak"], False, "--allow-faults"),
        (["melt"], True, "leak"),
        (["leak=1"], True, "not one of"),
        (["cut-stream"], True, "cut-stream="),
        (["cut-stream=x"], True, "cut-stream="),
        (["swap-adapters=a"], True, "two names"),
        (["drop-adapter=mauve"], True, "mauve, which is not served"),
    ],
)
def test_faults_must_be_meant(
    tiny_base: Path, faults: list[str], allowed: bool, words: str
) -> None:
    options = ServerOptions(model=tiny_base, faults=faults, allow_faults=allowed)
    with pytest.raises(ConfigurationError, match=words):
        build_service(options, None)
