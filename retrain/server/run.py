"""Puts a server together from files and runs it until SIGTERM."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch
import uvicorn

from feedback.errors import ConfigurationError
from feedback.ports import Embedder
from retrain.publishing.identity import snapshot_id
from retrain.server.app import build_app
from retrain.server.bodies import Limits
from retrain.server.decoder import MIN_ROWS, Decoder, KeyValueCache
from retrain.server.engine import Engine
from retrain.server.faults import parse_faults
from retrain.server.jobs import Delivery
from retrain.server.lora import LoraBank, load_adapter
from retrain.server.service import Identity, Service
from retrain.server.snapshot import load_snapshot
from retrain.server.tokenizer import ServedTokenizer

LOGGER = logging.getLogger(__name__)
_KEEP_ALIVE_S = 600
"""TGI closes no idle connection. With uvicorn's five seconds, which are many a client's too, a busy
server closes connections on which the next request has just come in."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What one server serves and where.

    Attributes:
        adapters: Adapter name to folder.
        model_id: What `/info` calls the base; the folder by default.
        port: 0 takes a free one.
        max_total_tokens: Longest row; None takes what the model knows, at most 4096.
        max_rows: Rows of one step; further requests wait in the queue.
        prefix_cache_mb: Memory for what prompts begin with; 0 runs every prompt whole.
        drain_s: Seconds that running requests get after SIGTERM.
        faults: What to do wrongly on purpose, as `--fault` takes it.
        allow_faults: The second switch without which faults are refused.
    """

    model: Path
    adapters: Mapping[str, Path] = field(default_factory=dict)
    model_id: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    strict_adapters: bool = False
    max_concurrent_requests: int = 128
    max_total_tokens: int | None = None
    max_rows: int = 32
    prefix_cache_mb: int = 64
    drain_s: int = 90
    faults: Sequence[str] = ()
    allow_faults: bool = False


def parse_adapters(text: str) -> dict[str, Path]:
    """Reads LORA_ADAPTERS (`name=path,name2=path2`) as TGI's launcher does.

    Raises:
        ConfigurationError: An entry is not `name=path`, or a name comes twice.
    """
    adapters: dict[str, Path] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, sign, path = entry.partition("=")
        if not (name and sign and path) or "=" in path or "@" in entry:
            raise ConfigurationError(
                f"LORA_ADAPTERS entry {entry!r} is not name=path (names hold no , = or @); "
                "write name=/path/to/adapter,name2=/path"
            )
        if name in adapters:
            raise ConfigurationError(
                f"LORA_ADAPTERS names {name} twice; give every adapter its own"
            )
        adapters[name] = Path(path)
    return adapters


def build_service(options: ServerOptions, embedder: Embedder | None) -> Service:
    """Loads everything into memory.

    Raises:
        ConfigurationError: Model, tokenizer or an adapter cannot be served.
    """
    torch.set_num_threads(1)
    faults = parse_faults(options.faults, allowed=options.allow_faults)
    if options.faults:
        LOGGER.warning("this server answers wrongly on purpose: %s", ", ".join(options.faults))
    if not options.model.is_dir():
        raise ConfigurationError(
            f"model folder {options.model} does not exist; give --model a folder with config.json, "
            "tokenizer.json and safetensors"
        )
    tokenizer = ServedTokenizer(options.model)
    if tokenizer.ignores_jinja_file:
        LOGGER.warning(
            "%s/chat_template.jinja is not read, as TGI does not read it: put the template into "
            "tokenizer_config.json (save_pretrained(save_jinja_files=False))",
            options.model,
        )
    tokenizer.template = faults.template(tokenizer.template)
    snapshot = load_snapshot(options.model, max_positions=options.max_total_tokens or 4096)
    decoder = snapshot.decoder
    shape = decoder.dimensions.lora_shape()
    adapters = faults.adapters(options.adapters).items()
    bank = faults.bank(
        [faults.adapter(load_adapter(name, path, shape)) for name, path in adapters], shape
    )
    _warm_up(decoder, bank)
    total = decoder.dimensions.max_positions
    eos_ids = snapshot.eos_ids | ({tokenizer.eos_id} if tokenizer.eos_id is not None else set())

    def make_engine(dispatch: Callable[[Delivery], None]) -> Engine:
        return Engine(
            decoder,
            tokenizer,
            bank,
            eos_ids=eos_ids,
            dispatch=dispatch,
            prefixes=faults.prefixes(options.prefix_cache_mb * 2**20),
            max_rows=options.max_rows,
        )

    return Service(
        tokenizer=tokenizer,
        bank=bank,
        limits=Limits(
            max_concurrent_requests=options.max_concurrent_requests,
            max_total_tokens=total,
            max_input_tokens=total - 1,
        ),
        identity=Identity(
            model_id=options.model_id or str(options.model),
            model_sha=snapshot_id(options.model),
            version=version("understudy"),
        ),
        make_engine=make_engine,
        embedder=embedder,
        strict_adapters=options.strict_adapters,
        faults=faults,
    )


def _warm_up(decoder: Decoder, bank: LoraBank) -> None:
    """Answers once with the base and every adapter before anything listens.

    Raises:
        ConfigurationError: When weights are not finite: in a mixed batch they would spoil others.
    """
    for index, name in enumerate(("the base", *bank.names)):
        cache = KeyValueCache(decoder.dimensions, rows=MIN_ROWS)
        first = decoder.prompt(cache, 0, [1, 2, 3], bank.single(index))
        rows = [index] + [0] * (MIN_ROWS - 1)
        second = decoder.step(cache, [1] * MIN_ROWS, [3, 0, 0, 0], bank.gather(rows))
        if not bool(torch.isfinite(first).all() and torch.isfinite(second).all()):
            raise ConfigurationError(
                f"{name} gives answers that are not finite numbers; its weights are damaged or its "
                "training diverged"
            )


def bind(host: str, port: int) -> socket.socket:
    """Takes the port before the model loads; connections are refused until the server listens.

    Raises:
        ConfigurationError: The port is in use or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio sets TCP_NODELAY only then, and without it every answer
    # waits 40 ms for the client's delayed acknowledgement.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as exc:
        taken.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({exc.strerror}); stop the other process or give "
            "another --port"
        ) from exc
    return taken


def make_server(service: Service, options: ServerOptions) -> uvicorn.Server:
    """Returns the HTTP server; run `serve(sockets=[bind(...)])` on it."""
    return uvicorn.Server(
        uvicorn.Config(
            build_app(service, api_key=options.api_key),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=options.drain_s,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
    )


def serve(options: ServerOptions, make_embedder: Callable[[], Embedder] | None) -> None:
    """Serves until SIGTERM or SIGINT; then stops accepting, finishes what runs, and returns.

    Args:
        options: What to serve and where.
        make_embedder: Loads the embedder for `/embed`; None serves none.

    Raises:
        ConfigurationError: Something is missing, or the port is in use.
    """
    taken = bind(options.host, options.port)
    try:
        service = build_service(options, None if make_embedder is None else make_embedder())
        server = make_server(service, options)

        def stop(*_: object) -> None:
            # uvicorn raises the signal again once it has drained: then this is harmless, and the
            # process ends with status 0 instead of as killed.
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        host, port = taken.getsockname()[:2]
        LOGGER.info("serving %s on http://%s:%d", options.model, host, port)
        asyncio.run(server.serve(sockets=[taken]))
    finally:
        taken.close()
