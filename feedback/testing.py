"""In-memory twins of the ports: product code, held to the same contract tests as the real ones."""

import hashlib
from collections.abc import Sequence

import numpy as np

from feedback.knowledge.analysis import terms
from feedback.ports import Vectors


class HashingEmbedder:
    """Deterministic bag-of-stems vectors by feature hashing: no weights, no start-up time.

    Texts that share words are near, others are far: enough for tests and for a first look, not
    for paraphrases.
    """

    def __init__(self, dimensions: int = 384) -> None:
        self._dimensions = dimensions
        self.embedded = 0
        """Texts embedded so far; tests of incremental work read it."""

    @property
    def id(self) -> str:
        """Names this space."""
        return f"hashing-{self._dimensions}/1"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), dimensions)."""
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            # A text without index terms must still have a direction of its own.
            for term in terms(text) or [f"\x00{text.strip().lower()}"]:
                digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
                value = int.from_bytes(digest, "big")
                vectors[row, value % self._dimensions] += 1.0 if value >> 63 else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return normalised
