"""A real server is proven, and a server with swapped, lost or changed adapters is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from feedback.domain.learning import Adapter
from feedback.errors import AdapterNotServedError, ConfigurationError
from retrain.publishing.identity import WEIGHTS, snapshot_id
from retrain.publishing.manifest import BaseIdentity
from retrain.publishing.prover import AdapterProver
from retrain.publishing.registry import AdapterRegistry, Provenance
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


async def test_a_rank_that_is_served_wrongly_is_not_even_asked_for(
    tiny_base: Path, signed: list[Adapter], tmp_path: Path
) -> None:
    files = {path.name: path.read_bytes() for path in signed[0].path.iterdir()}
    files["adapter_config.json"] = files["adapter_config.json"].replace(b'"r": 8', b'"r": 12')
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match="rank r=12 is served wrongly"):
        await AdapterProver(tiny_base).prove("http://nobody", [replace(signed[0], path=tmp_path)])


async def test_what_the_manifest_says_must_hold(
    tiny_base: Path, signed: list[Adapter], tmp_path: Path
) -> None:
    adapter = signed[0]
    known = Provenance(
        base=BaseIdentity.of(tiny_base, adapter.base_model), dataset_id="d", training_run_id="r",
        gates={}, signature=adapter.signature, created_at=adapter.created_at,
    )  # fmt: skip
    _, folder = AdapterRegistry(tmp_path).put(
        adapter.path, replace(known, base=replace(known.base, tokenizer="0" * 64))
    )
    with pytest.raises(ConfigurationError, match="trained on base tokenizer 000"):
        await AdapterProver(tiny_base).prove("http://nobody", [replace(adapter, path=folder)])
    with pytest.raises(ConfigurationError, match="the served base is 'another'"):
        await AdapterProver(tiny_base, base_id="another").prove("http://nobody", signed[:1])


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
