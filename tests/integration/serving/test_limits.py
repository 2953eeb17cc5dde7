"""Limits and lives of requests: 429, keys, strict adapters, clients that leave, SIGTERM."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.errors import OverloadedError, StreamBrokenError, TimedOutError, UnavailableError
from feedback.ports import GenerationOptions, Message
from feedback.serving import TgiTextGenerator
from retrain.server.run import ServerOptions, bind
from tests.model_server import running_server

GREEDY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Reset the token"}],
    "max_tokens": 6,
    "temperature": 0,
}
QUESTION = (Message(role="user", content="Reset the token"),)


@asynccontextmanager
async def http(options: ServerOptions) -> AsyncIterator[httpx.AsyncClient]:
    with running_server(options) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield client


async def metrics_when(client: httpx.AsyncClient, line: str) -> str:
    """Polls until a line is on the page."""
    deadline = time.monotonic() + 20
    while line not in (page := (await client.get("/metrics")).text):
        assert time.monotonic() < deadline, page
        await asyncio.sleep(0.01)
    return page


async def test_a_client_that_leaves_frees_its_row(endless_base: Path) -> None:
    async with http(ServerOptions(model=endless_base)) as client:
        generator = TgiTextGenerator(str(client.base_url))
        options = GenerationOptions(max_tokens=490)
        parts = generator.stream(QUESTION, adapter=None, options=options)
        async with aclosing(parts):
            assert isinstance(await anext(parts), str)
        page = await metrics_when(client, "tgi_batch_current_size 0")
        assert 'tgi_request_failure{err="dropped"} 1' in page
        assert "tgi_request_success 0" in page
        await generator.aclose()


async def test_a_deadline_covers_the_whole_answer_and_frees_the_row(endless_base: Path) -> None:
    async with http(ServerOptions(model=endless_base)) as client:
        generator = TgiTextGenerator(str(client.base_url))
        options = GenerationOptions(max_tokens=490, timeout_s=0.1)
        with pytest.raises(TimedOutError):
            await generator.chat(QUESTION, adapter=None, options=options)
        with pytest.raises(TimedOutError):
            async for _ in generator.stream(QUESTION, adapter=None, options=options):
                pass
        page = await metrics_when(client, "tgi_batch_current_size 0")
        assert 'tgi_request_failure{err="dropped"} 2' in page
        await generator.aclose()


async def test_requests_beyond_the_limit_get_429_at_once(endless_base: Path) -> None:
    async with http(ServerOptions(model=endless_base, max_concurrent_requests=2)) as client:
        body = {**GREEDY, "max_tokens": 200}
        answers = await asyncio.gather(
            *(client.post("/v1/chat/completions", json=body) for _ in range(12))
        )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 429}
        refused = answers[statuses.index(429)]
        assert refused.json() == {"error": "Model is overloaded", "error_type": "overloaded"}
        assert "retry-after" not in refused.headers
        again = await client.post("/v1/chat/completions", json=GREEDY)
        assert again.status_code == 200


async def test_overload_reaches_the_caller_plain_and_streamed(endless_base: Path) -> None:
    async with http(ServerOptions(model=endless_base, max_concurrent_requests=1)) as client:
        generator = TgiTextGenerator(str(client.base_url))
        long, short = GenerationOptions(max_tokens=490), GenerationOptions(max_tokens=2)
        parts = generator.stream(QUESTION, adapter=None, options=long)
        async with aclosing(parts):
            await anext(parts)
            with pytest.raises(OverloadedError):
                await generator.chat(QUESTION, adapter=None, options=short)
            with pytest.raises(OverloadedError):
                async for _ in generator.stream(QUESTION, adapter=None, options=short):
                    pass
        await generator.aclose()


async def test_keys_and_strict_adapters(tiny_base: Path, tiny_adapters: dict[str, Path]) -> None:
    options = ServerOptions(
        model=tiny_base, adapters=tiny_adapters, api_key="s3cret", strict_adapters=True
    )
    async with http(options) as client:
        path = "/v1/chat/completions"
        refused = await client.post(path, json=GREEDY)
        assert (refused.status_code, refused.content) == (401, b"")
        assert (await client.get("/info")).status_code == 200
        headers = {"authorization": "bearer S3CRET"}
        unknown = await client.post(path, json={**GREEDY, "model": "mauve"}, headers=headers)
        assert unknown.status_code == 404
        assert "mauve" in unknown.json()["error"]
        known = await client.post(path, json={**GREEDY, "model": "jade"}, headers=headers)
        assert known.status_code == 200


async def test_a_stream_cut_in_the_middle_is_not_an_answer() -> None:
    """A gateway that ends the stream properly, but before the final event."""
    chunk = (
        b'data: {"object":"chat.completion.chunk","id":"","created":1,"model":"tgi",'
        b'"system_fingerprint":"x","choices":[{"index":0,"delta":{"role":"assistant",'
        b'"content":"half"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        writer.write(chunk)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    generator = TgiTextGenerator(f"http://127.0.0.1:{port}")
    parts = generator.stream(QUESTION, adapter=None, options=GenerationOptions())
    assert await anext(parts) == "half"
    with pytest.raises(StreamBrokenError, match="without a finish reason"):
        await anext(parts)
    server.close()
    await server.wait_closed()
    with pytest.raises(UnavailableError):
        await generator.chat(QUESTION, adapter=None, options=GenerationOptions())
    await generator.aclose()


async def test_sigterm_finishes_what_runs(endless_base: Path) -> None:
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    program = (
        "import typer; from deploy.commands.model_server import model_server as m; typer.run(m)"
    )
    command = ["--model", str(endless_base), "--port", str(port), "--no-embedder"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *command, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await _until_healthy(client, process)
            body = {**GREEDY, "max_tokens": 480, "stream": True}
            async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                lines = answer.aiter_lines()
                assert await anext(lines)
                process.send_signal(signal.SIGTERM)
                rest = [line async for line in lines if line]
            assert rest[-1] == "data: [DONE]"
            assert len(rest) == 480
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_healthy(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + 90
    while True:
        assert process.returncode is None, "the server ended before it listened"
        assert time.monotonic() < deadline, "the server did not start within 90 s"
        try:
            if (await client.get("/health")).status_code == 200:
                return
        except httpx.ConnectError:
            await asyncio.sleep(0.1)
