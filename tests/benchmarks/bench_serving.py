"""How fast the model server is, what the client costs, and what a blue/green flip loses.

`python -m tests.benchmarks.bench_serving [--quick]`

Prints one JSON object on its last line and exits 1 when a bound is not met (batched >= 3x
sequential at 8; no failed request and no wrong adapter during the flip). Everything runs on one
machine: the server is a process of its own with one torch thread, the client is this process.

- `sequential_tokens_per_s`: transformers + peft `generate`, one request after the other, one
  thread, the same model, adapter and prompts; no HTTP.
- `tokens_per_s`, `tokens_per_s_mixed3`: through TgiTextGenerator over HTTP by concurrency, one
  adapter and three mixed. Rates are medians of rounds; a round measures the plain loop and then
  every rate. `speedup_at_8` is the median of the rounds' ratios.
- `ttft_p50_ms`: first streamed text while 8 requests are in flight.
- `client_overhead_p50_ms`, `client_overhead_p99_ms`: TgiTextGenerator against a server that
  answers at once, less the median of bare sockets against the same server (`raw_p50_ms`; what
  `raw_p99_ms` is above it is the machine's noise).
- `long_prompt_ms`: to the one token of a long prompt, its beginning kept from earlier ones or run
  whole (a server with --prefix-cache-mb 0).
- `flip_s`, `failed_during_flip`, `wrong_adapter`: of bench_publish, which is run whole.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from feedback.ports import GenerationOptions, Message
from feedback.serving import TgiTextGenerator
from retrain.server.run import bind
from tests.benchmarks import bench_publish
from tests.tiny_model import build_adapter, build_model

NAMES = ("cobalt", "amber", "jade")
CONCURRENCY = (1, 8, 32)
PROGRAM = "import typer; from deploy.commands.model_server import model_server as m; typer.run(m)"
QUESTIONS = tuple(
    (Message(role="user", content=f"How do I reset export token {number} of my workspace?"),)
    for number in range(200)
)
LONG = Message(
    role="system",
    content="You answer questions about exports, tokens and workspaces. " * 12,
)
Millis = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How long each measurement is."""

    tokens: int
    requests: int
    probes: int
    rounds: int
    publish: bench_publish.Size


FULL = Size(tokens=64, requests=96, probes=400, rounds=3, publish=bench_publish.FULL)
QUICK = Size(tokens=32, requests=32, probes=100, rounds=1, publish=bench_publish.QUICK)


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


async def start(base: Path, adapters: dict[str, Path], *more: str) -> ServerProcess:
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
        *more,
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


def plain_loop(base: Path, adapter: Path) -> Any:  # noqa: ANN401 - a PeftModel
    """Returns transformers + peft, warm."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        model: Any = PeftModel.from_pretrained(plain, str(adapter)).eval()
    model.generate(input_ids=torch.tensor([[1, 2, 3]]), max_new_tokens=4, do_sample=False)
    return model


def sequential(model: Any, prompts: Sequence[Sequence[int]], tokens: int) -> float:  # noqa: ANN401
    """Tokens a second of transformers + peft, one request after the other."""
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


async def first_text_ms(client: TgiTextGenerator, size: Size) -> float:
    """Median milliseconds to the first streamed text with 8 in flight."""
    options = GenerationOptions(max_tokens=size.tokens)
    times: list[float] = []

    async def one(number: int) -> None:
        begun = time.perf_counter()
        question = QUESTIONS[number % len(QUESTIONS)]
        parts = client.stream(question, adapter=NAMES[number % 3], options=options)
        async with aclosing(parts):
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
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


async def client_overhead_ms(size: Size) -> dict[str, float]:
    """What TgiTextGenerator adds to a bare exchange; they take turns, so that noise hits both."""
    server = await asyncio.start_server(_answer_at_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = TgiTextGenerator(f"http://127.0.0.1:{port}")
    body = json.dumps({"messages": [{"role": "user", "content": QUESTIONS[0][0].content}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(size.probes + 5):
        begun = time.perf_counter()
        writer.write(head.encode() + body)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(ANSWER))
        turn = time.perf_counter()
        await client.chat(QUESTIONS[0], adapter=None, options=GenerationOptions())
        ours.append((time.perf_counter() - turn) * 1e3)
        bare.append((turn - begun) * 1e3)
    writer.close()
    await client.aclose()
    server.close()
    await server.wait_closed()
    floor, used = (statistics.quantiles(times[5:], n=100) for times in (bare, ours))
    return {
        "client_overhead_p50_ms": round(used[49] - floor[49], 2),
        "client_overhead_p99_ms": round(used[98] - floor[49], 2),
        "raw_p50_ms": round(floor[49], 2),
        "raw_p99_ms": round(floor[98], 2),
    }


async def long_prompt_ms(kept: TgiTextGenerator, whole: TgiTextGenerator, count: int) -> Millis:
    """Median milliseconds to one token of a long prompt, whose beginning is kept or run again."""
    times: dict[str, list[float]] = {"reused": [], "whole": []}
    options = GenerationOptions(max_tokens=1)
    for number in range(count + 1):
        asked = Message(role="user", content=f"{number}: {QUESTIONS[0][0].content}")
        for name, client in (("reused", kept), ("whole", whole)):
            begun = time.perf_counter()
            await client.chat((LONG, asked), adapter="cobalt", options=options)
            times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: round(statistics.median(found[1:]), 2) for name, found in times.items()}


async def served(base: Path, adapters: dict[str, Path], size: Size) -> dict[str, Any]:
    """Everything that is asked of a running server, beside the plain loop."""
    server = await start(base, adapters)
    whole = await start(base, adapters, "--prefix-cache-mb", "0")
    client, other = (TgiTextGenerator(each.url, adapters=NAMES) for each in (server, whole))
    prompts = [(await client.chat_tokenize(question)).token_ids for question in QUESTIONS[:8]]
    plain = plain_loop(base, adapters["cobalt"])
    await throughput(client, NAMES, 8, QUICK)
    rounds = []
    for _ in range(size.rounds):
        found = {"sequential": sequential(plain, prompts, size.tokens)}
        for count in CONCURRENCY:
            found[f"one {count}"] = await throughput(client, NAMES[:1], count, size)
            found[f"mixed {count}"] = await throughput(client, NAMES, count, size)
        rounds.append(found)
    ttft = await first_text_ms(client, size)
    long = await long_prompt_ms(client, other, size.probes // 10)
    for each in (client, other):
        await each.aclose()
    for process in (server, whole):
        await process.stop()

    def middle(name: str) -> int:
        return round(statistics.median(found[name] for found in rounds))

    return {
        "sequential_tokens_per_s": middle("sequential"),
        "tokens_per_s": {str(count): middle(f"one {count}") for count in CONCURRENCY},
        "tokens_per_s_mixed3": {str(count): middle(f"mixed {count}") for count in CONCURRENCY},
        "speedup_at_8": _speedup(rounds, "one 8"),
        "speedup_at_8_mixed3": _speedup(rounds, "mixed 8"),
        "ttft_p50_ms": round(ttft, 2),
        "long_prompt_ms": long,
    }


def _speedup(rounds: Sequence[dict[str, float]], name: str) -> float:
    """The median of the ratios of each round: what else runs on the machine changes both sides."""
    return round(statistics.median(found[name] / found["sequential"] for found in rounds), 2)


async def measure(folder: Path, size: Size) -> dict[str, Any]:
    """Runs everything and returns the report."""
    report = await served(*_build(folder), size)
    (folder / "p").mkdir()
    publish = await bench_publish.measure(folder / "p", size.publish)
    return {
        **report,
        **await client_overhead_ms(size),
        "flip_s": publish["flip_s"],
        "failed_during_flip": publish["failures"],
        "wrong_adapter": publish["wrong_answers"],
        "publish": publish,
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
    # The embedded database's socket must have a short path.
    with tempfile.TemporaryDirectory(prefix="us-", dir="/tmp") as folder:
        report = asyncio.run(measure(Path(folder), size))
    print(json.dumps(report))
    sound = report["failed_during_flip"] == 0 and report["wrong_adapter"] == 0
    return 0 if sound and report["speedup_at_8"] >= 3 else 1


if __name__ == "__main__":
    raise SystemExit(main())
