"""A model server of a test as a process: starts in a moment, and says what it serves.

Reads PORT and LORA_ADAPTERS as TGI's launcher does, and like it takes an empty LORA_ADAPTERS for an
adapter without a name. `CHILD=1` gives it a child in a session of its own, as TGI's shards are;
`STUBBORN=1` lets it ignore SIGTERM. A port that is taken ends it with status 2, as ours does.
"""

# ruff: noqa: T201
import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def served(environment: Mapping[str, str]) -> list[str]:
    listed = environment.get("LORA_ADAPTERS")
    if listed is None:
        return []
    pairs = [entry.partition("=") for entry in listed.split(",")]
    if not all(name and Path(path).is_dir() for name, _, path in pairs):
        raise SystemExit(f"Invalid LoRA adapter format: {listed!r}")
    return [name for name, _, _ in pairs]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    body = json.dumps(served(os.environ)) if request.startswith(b"GET /served") else ""
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write((head + body).encode())
    await writer.drain()
    writer.close()


def begin() -> None:
    """Says what is served, and starts the child."""
    print(f"serving {served(os.environ)}", flush=True)
    if os.environ.get("CHILD"):
        waiting = [sys.executable, "-c", "import time; time.sleep(600)"]
        child = subprocess.Popen(waiting, start_new_session=True)
        print(f"child {child.pid}", flush=True)


async def main() -> None:
    stopped = asyncio.Event()
    ended = (lambda: None) if os.environ.get("STUBBORN") else stopped.set
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended)
    try:
        server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ["PORT"]))
    except OSError as exc:
        print(f"cannot listen: {exc}", flush=True)
        raise SystemExit(2) from exc
    async with server:
        await stopped.wait()


if __name__ == "__main__":
    begin()
    asyncio.run(main())
