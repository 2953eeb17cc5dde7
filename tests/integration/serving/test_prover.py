"""A real server is proven, and a server with swapped, lost or changed adapters is not."""

from pathlib import Path

import pytest

from feedback.domain.learning import Adapter
from feedback.errors import AdapterNotServedError, ConfigurationError
from retrain.publishing.identity import WEIGHTS, snapshot_id
from retrain.publishing.prover import AdapterProver
from retrain.server.run import ServerOptions
from tests.model_server import running_server
from tests.tiny_model import build_model


async def test_what_was_trained_is_what_is_served(
    server_url: str, tiny_base: Path, signed: list[Adapter]
) -> None:
    evidence = await AdapterProver(tiny_base).prove(server_url, signed)
    assert evidence["base_snapshot"] == snapshot_id(tiny_base)
    assert set(evidence["adapters"]) == {"cobalt", "amber"}
    assert evidence["isolation"]["mismatches"] == 0
    assert evidence["isolation"]["requests"] >= 120
    assert len(evidence["template_sha256"]) == 64


async def test_swapped_and_missing_adapters_are_caught(
    tiny_base: Path, tiny_adapters: dict[str, Path], signed: list[Adapter]
) -> None:
    swapped = {"cobalt": tiny_adapters["amber"]}
    prover = AdapterProver(tiny_base, isolation_requests=6)
    with running_server(ServerOptions(model=tiny_base, adapters=swapped)) as url:
        with pytest.raises(AdapterNotServedError, match="other weights"):
            await prover.prove(url, signed[:1])
        with pytest.raises(AdapterNotServedError, match="with the base model"):
            await prover.prove(url, signed[1:])
        assert "adapters" in await prover.prove(url, [])


async def test_another_base_is_caught(tmp_path: Path, tiny_base: Path) -> None:
    other = build_model(tmp_path / "other", seed=99)
    refused = pytest.raises(ConfigurationError, match="serves base snapshot")
    with running_server(ServerOptions(model=other)) as url, refused:
        await AdapterProver(tiny_base).prove(url, [])


async def test_a_file_that_changed_is_caught(
    server_url: str, tiny_base: Path, tiny_adapters: dict[str, Path], signed: list[Adapter]
) -> None:
    path = tiny_adapters["cobalt"] / WEIGHTS
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[:-4] + b"\0\0\0\0")
        with pytest.raises(AdapterNotServedError, match="changed after training"):
            await AdapterProver(tiny_base).prove(server_url, signed[:1])
    finally:
        path.write_bytes(kept)
