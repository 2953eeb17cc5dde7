"""How fast the model server is, what the client costs, and what a blue/green flip loses.

`python -m tests.benchmarks.bench_serving [--quick]`

Prints one JSON object on its last line and exits 1 when a bound is not met (batched >= 3x
sequential at 8; no failed request and no wrong adapter during the flip). Everything runs on one
machine: the server is a process of its own with one torch thread, the client is this process.

- `sequential_tokens_per_s`: transformers + peft `generate`, one request after the other, one
  thread, the same model, adapter and prompts; no HTTP. Rates are the better of two runs.
- `tokens_per_s`, `tokens_per_s_mixed3`: through TgiTextGenerator over HTTP by concurrency, one
  adapter and three mixed.
- `ttft_p50_ms`: first streamed text while 8 requests are in flight.
- `client_overhead_p50_ms`, `client_overhead_p99_ms`: TgiTextGenerator against a server that
  answers at once, less the median of bare sockets against the same server.
- `flip_s`: start green, prove it, switch, drain blue, under 20 requests in flight; every answer is
  compared with what its adapter answers alone (`wrong_adapter`).

The model is random, 4 layers of width 128, and never ends an answer by itself.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from feedback.domain.learning import Adapter, AdapterState
from feedback.errors import UnderstudyError
from feedback.ports import GenerationOptions, Message
from feedback.serving import TgiTextGenerator
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.publishing.prover import AdapterProver
from retrain.publishing.signing import sign_adapter
from retrain.server.run import bind
from tests.tiny_model import build_adapter, build_model

NAMES = ("cobalt", "amber", "jade")
CONCURRENCY = (1, 8, 32)
IN_FLIGHT = 20
PROGRAM = "import typer; from deploy.commands.model_server import model_server as m; typer.run(m)"
QUESTIONS = tuple(
    (Message(role="user", content=f"How do I reset export token {number} of my workspace?"),)
    for number in range(8)
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How long each measurement is."""

    tokens: int
    requests: int
    probes: int
    flip_load_s: float


FULL = Size(tokens=64, requests=96, probes=400, flip_load_s=60.0)
QUICK = Size(tokens=32, requests=32, probes=100, flip_load_s=5.0)


@dataclass(kw_only=True)
class ServerProcess:
    """One `understudy model-server`."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Drains it."""
        self.process.terminate()
        await self.process.wait()


async def start(base: Path, adapters: dict[str, Path]) -> ServerProcess:
    """Starts a server and waits until it is healthy."""
    listener = bind("127.0.0.1", 0)
    port = int(listener.getsockname()[1])
    listener.close()
    served = ",".join(f"{name}={path}" for name, path in adapters.items())
    options = (
        "--model",
        str(base),
        "--port",
        str(port),
        "--no-embedder",
        "--lora-adapters",
        served,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *options, stderr=asyncio.subprocess.DEVNULL
    )
    async with httpx.AsyncClient() as client:
        while True:
            if process.returncode is not None:
                raise SystemExit(f"the server ended with status {process.returncode}")
            try:
                if (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 200:
                    return ServerProcess(port=port, process=process)
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def sequential(base: Path, adapter: Path, prompts: Sequence[Sequence[int]], tokens: int) -> float:
    """Tokens a second of transformers + peft, one request after the other."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        model: Any = PeftModel.from_pretrained(plain, str(adapter))
    model.generate(input_ids=torch.tensor([prompts[0]]), max_new_tokens=4, do_sample=False)
    begun = time.perf_counter()
    for prompt in prompts:
        model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=tokens, do_sample=False)
    return len(prompts) * tokens / (time.perf_counter() - begun)


async def throughput(
    client: TgiTextGenerator, names: Sequence[str], at_once: int, size: Size
) -> float:
    """Tokens a second of `size.requests` requests, `at_once` in flight."""
    options = GenerationOptions(max_tokens=size.tokens)
    count = size.requests if at_once > 1 else max(size.requests // 4, 8)
    waiting = iter(range(count))
    total = 0

    async def worker() -> None:
        nonlocal total
        for number in waiting:
            answer = await client.chat(
                QUESTIONS[number % len(QUESTIONS)],
                adapter=names[number % len(names)],
                options=options,
            )
            total += answer.completion_tokens

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return total / (time.perf_counter() - begun)


async def best_throughput(
    client: TgiTextGenerator, names: Sequence[str], at_once: int, size: Size
) -> float:
    """The better of two runs: whatever else the machine does can only slow a run down."""
    return max([await throughput(client, names, at_once, size) for _ in range(2)])


async def first_text_ms(client: TgiTextGenerator, size: Size) -> float:
    """Median milliseconds to the first streamed text with 8 in flight."""
    options = GenerationOptions(max_tokens=size.tokens)
    times: list[float] = []

    async def one(number: int) -> None:
        begun = time.perf_counter()
        question = QUESTIONS[number % len(QUESTIONS)]
        parts = client.stream(question, adapter=NAMES[number % 3], options=options)
        async with aclosing(parts):  # type: ignore[type-var]
            first = True
            async for _ in parts:
                if first:
                    times.append((time.perf_counter() - begun) * 1e3)
                first = False

    waiting = iter(range(size.requests))

    async def worker() -> None:
        for number in waiting:
            await one(number)

    await asyncio.gather(*(worker() for _ in range(8)))
    return statistics.median(times)


ANSWER = json.dumps(
    {
        "object": "chat.completion",
        "id": "",
        "created": 1,
        "model": "tgi",
        "system_fingerprint": "x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ok"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()


async def _answer_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in request.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            writer.write(head + str(len(ANSWER)).encode() + b"\r\n\r\n" + ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def client_overhead_ms(size: Size) -> tuple[float, float]:
    """(p50, p99) milliseconds that TgiTextGenerator adds to a bare exchange."""
    server = await asyncio.start_server(_answer_at_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"messages": [{"role": "user", "content": QUESTIONS[0][0].content}]}).encode()
    bare: list[float] = []
    for _ in range(size.probes):
        begun = time.perf_counter()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(ANSWER))
        bare.append((time.perf_counter() - begun) * 1e3)
    writer.close()
    client = TgiTextGenerator(f"http://127.0.0.1:{port}")
    ours: list[float] = []
    for _ in range(size.probes):
        begun = time.perf_counter()
        await client.chat(QUESTIONS[0], adapter=None, options=GenerationOptions())
        ours.append((time.perf_counter() - begun) * 1e3)
    await client.aclose()
    server.close()
    await server.wait_closed()
    floor = statistics.median(bare)
    cuts = statistics.quantiles(ours[5:], n=100)
    return statistics.median(ours) - floor, cuts[98] - floor


@dataclass(kw_only=True)
class Load:
    """Requests that never stop, against whichever client is current."""

    client: TgiTextGenerator
    expected: dict[tuple[int, str], str]
    tokens: int
    stopped: bool = False
    answered: int = 0
    wrong: int = 0
    failures: list[str] = field(default_factory=list)

    async def worker(self, number: int) -> None:
        """Asks until stopped; each request keeps the client it began with."""
        options = GenerationOptions(max_tokens=self.tokens)
        while not self.stopped:
            number += 1
            question, name = number % len(QUESTIONS), NAMES[number % 2]
            try:
                answer = await self.client.chat(QUESTIONS[question], adapter=name, options=options)
            except UnderstudyError as exc:
                self.failures.append(str(exc))
                continue
            self.answered += 1
            self.wrong += answer.text != self.expected[question, name]


async def flip(base: Path, adapters: dict[str, Path], size: Size) -> dict[str, Any]:
    """Moves the load from blue (two adapters) to green (three) and counts what is lost."""
    signed = [await asyncio.to_thread(_signed, base, name, path) for name, path in adapters.items()]
    two = {name: adapters[name] for name in NAMES[:2]}
    blue = await start(base, two)
    client = TgiTextGenerator(blue.url, adapters=NAMES)
    options = GenerationOptions(max_tokens=size.tokens)
    expected = {}
    for number, question in enumerate(QUESTIONS):
        for name in NAMES[:2]:
            answer = await client.chat(question, adapter=name, options=options)
            expected[number, name] = answer.text
    load = Load(client=client, expected=expected, tokens=size.tokens)
    workers = [asyncio.create_task(load.worker(number)) for number in range(IN_FLIGHT)]
    begun = time.perf_counter()
    green = await start(base, adapters)
    started = time.perf_counter()
    await AdapterProver(base).prove(green.url, signed)
    proven = time.perf_counter()
    load.client = TgiTextGenerator(green.url, adapters=NAMES)
    await blue.stop()
    done = time.perf_counter()
    await asyncio.sleep(max(0.0, size.flip_load_s - (done - begun)))
    load.stopped = True
    await asyncio.gather(*workers)
    await client.aclose()
    await load.client.aclose()
    await green.stop()
    return {
        "flip_s": round(done - begun, 2),
        "flip_steps_s": {
            "start": round(started - begun, 2),
            "prove": round(proven - started, 2),
            "drain": round(done - proven, 2),
        },
        "answered_during_flip": load.answered,
        "failed_during_flip": len(load.failures),
        "wrong_adapter": load.wrong,
    }


def _signed(base: Path, name: str, path: Path) -> Adapter:
    return Adapter(
        id=name,
        sha256=file_sha256(path / WEIGHTS),
        path=path,
        base_model=str(base),
        template_sha256="",
        dataset_id="bench",
        training_run_id="bench",
        signature=sign_adapter(base, path, ("Hello!", "Why?")).to_json(),
        state=AdapterState.TRAINED,
        created_at=datetime.now(UTC),
    )


async def measure(folder: Path, size: Size) -> dict[str, Any]:
    """Runs everything and returns the report."""
    base, adapters = _build(folder)
    server = await start(base, adapters)
    client = TgiTextGenerator(server.url, adapters=NAMES)
    prompts = [(await client.chat_tokenize(question)).token_ids for question in QUESTIONS]
    await throughput(client, NAMES, 8, QUICK)
    one, mixed = {}, {}
    for count in CONCURRENCY:
        one[str(count)] = await best_throughput(client, NAMES[:1], count, size)
        mixed[str(count)] = await best_throughput(client, NAMES, count, size)
    ttft = await first_text_ms(client, size)
    await client.aclose()
    await server.stop()
    plain = max(sequential(base, adapters["cobalt"], prompts, size.tokens) for _ in range(2))
    p50, p99 = await client_overhead_ms(size)
    return {
        "sequential_tokens_per_s": round(plain),
        "tokens_per_s": {key: round(value) for key, value in one.items()},
        "tokens_per_s_mixed3": {key: round(value) for key, value in mixed.items()},
        "speedup_at_8": round(one["8"] / plain, 2),
        "ttft_p50_ms": round(ttft, 2),
        "client_overhead_p50_ms": round(p50, 2),
        "client_overhead_p99_ms": round(p99, 2),
        **await flip(base, adapters, size),
    }


def _build(folder: Path) -> tuple[Path, dict[str, Path]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        base = build_model(folder / "base", ends=False)
        adapters = {
            name: build_adapter(base, folder / name, seed=number)
            for number, name in enumerate(NAMES, start=1)
        }
    return base, adapters


def main() -> int:
    """Prints the report; the exit status says whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a short run")
    size = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(measure(Path(folder), size))
    print(json.dumps(report))
    sound = report["failed_during_flip"] == 0 and report["wrong_adapter"] == 0
    return 0 if sound and report["speedup_at_8"] >= 3 else 1


if __name__ == "__main__":
    raise SystemExit(main())
