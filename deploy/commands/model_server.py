"""`understudy model-server`: the local TGI-compatible server."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer


def model_server(
    model: Annotated[
        Path | None, typer.Option(help="Model folder; the packaged tiny base by default.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", help="Port; 0 takes a free one.")] = 8080,
    lora_adapters: Annotated[
        str, typer.Option(envvar="LORA_ADAPTERS", help="name=path,name2=path2 (start only).")
    ] = "",
    model_id: Annotated[str | None, typer.Option(help="What /info calls the base.")] = None,
    embedder: Annotated[bool, typer.Option(help="Serve /embed (all-MiniLM-L6-v2).")] = True,
    strict_adapters: Annotated[
        bool, typer.Option(help="404 for an unknown adapter; TGI answers with the base.")
    ] = False,
    max_concurrent_requests: Annotated[
        int, typer.Option(min=1, help="Further requests get 429 at once.")
    ] = 128,
    max_total_tokens: Annotated[
        int | None, typer.Option(min=2, help="Longest prompt plus answer, in tokens.")
    ] = None,
    max_batch_size: Annotated[int, typer.Option(min=1, help="Rows of one step.")] = 32,
    prefix_cache_mb: Annotated[
        int, typer.Option(min=0, help="Memory for what prompts begin with; 0 keeps nothing.")
    ] = 64,
    api_key: Annotated[
        str | None, typer.Option(envvar="MODEL_SERVER_API_KEY", help="Bearer to ask for.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="name or name=value: answer wrongly, for tests.")
    ] = None,
    allow_faults: Annotated[
        bool, typer.Option("--allow-faults", help="Without it --fault is refused.")
    ] = False,
) -> None:
    """Serve a base model and its LoRA adapters with TGI's routes (development and tests)."""
    # torch and transformers take seconds to import: `understudy --help` must not wait for them.
    from retrain.base_model import BASE_MODEL_ID, base_model_path  # noqa: PLC0415
    from retrain.embedding import MiniLmEmbedder  # noqa: PLC0415
    from retrain.server.run import ServerOptions, parse_adapters, serve  # noqa: PLC0415

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    options = ServerOptions(
        model=model if model is not None else base_model_path(),
        adapters=parse_adapters(lora_adapters),
        model_id=BASE_MODEL_ID if model is None and model_id is None else model_id,
        host=host,
        port=port,
        api_key=api_key,
        strict_adapters=strict_adapters,
        max_concurrent_requests=max_concurrent_requests,
        max_total_tokens=max_total_tokens,
        max_rows=max_batch_size,
        prefix_cache_mb=prefix_cache_mb,
        faults=tuple(fault or ()),
        allow_faults=allow_faults,
    )
    serve(options, MiniLmEmbedder if embedder else None)
