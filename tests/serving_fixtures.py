"""Fixtures shared by the suites that serve the tiny random model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain.server.run import ServerOptions
from tests.model_server import running_server
from tests.tiny_model import build_adapter, build_model

NAMES = ("cobalt", "amber", "jade")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def endless_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers up to max_tokens always, so that a request surely runs while something happens."""
    return build_model(tmp_path_factory.mktemp("endless") / "base", ends=False)


@pytest.fixture(scope="session")
def tiny_adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three adapters, one of another rank, so that stacking must pad."""
    root = tmp_path_factory.mktemp("adapters")
    ranks = (8, 16, 8)
    return {
        name: build_adapter(tiny_base, root / name, seed=number, rank=rank)
        for number, (name, rank) in enumerate(zip(NAMES, ranks, strict=True), start=1)
    }


@pytest.fixture(scope="session")
def server_url(tiny_base: Path, tiny_adapters: dict[str, Path]) -> Iterator[str]:
    with running_server(ServerOptions(model=tiny_base, adapters=tiny_adapters)) as url:
        yield url
