"""Which texts are nearly the same: exact Jaccard joins, MinHash candidates, cosine neighbours.

All three are deterministic and none is fitted to the data: a similarity that moved as rows
arrive would let old pairs slip across the split.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from feedback.ports import Vectors
from retrain.dataset.rows import text_key

SHINGLE = 5
"""Characters in one shingle."""

_PERMUTATIONS = 128
_BLOCK = 1024

Shingles = frozenset[str]


def shingles(text: str) -> Shingles:
    """Returns the character 5-grams of the text's normal form; short texts are one shingle."""
    key = text_key(text)
    if len(key) <= SHINGLE:
        return frozenset([key])
    return frozenset(key[i : i + SHINGLE] for i in range(len(key) - SHINGLE + 1))


def jaccard(left: Shingles, right: Shingles) -> float:
    """Returns |left and right| / |left or right|, 1.0 for two empty sets."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def similar_pairs(sets: Sequence[Shingles], threshold: float) -> Iterator[tuple[int, int]]:
    """Yields every pair `(i, j)`, i < j, whose Jaccard similarity is at least `threshold`.

    Exact: prefix and size filters (Bayardo, Ma, Srikant, "Scaling up all pairs similarity
    search", WWW 2007) only skip pairs that cannot reach the threshold.
    """
    frequency = Counter(shingle for members in sets for shingle in members)
    ordered = [sorted(members, key=lambda s: (frequency[s], s)) for members in sets]
    by_size = sorted(range(len(sets)), key=lambda i: (len(sets[i]), i))
    index: defaultdict[str, list[int]] = defaultdict(list)
    for i in by_size:
        size = len(sets[i])
        prefix = ordered[i][: size - math.ceil(threshold * size) + 1]
        candidates = {j for shingle in prefix for j in index[shingle]}
        for j in candidates:
            # Candidates came earlier, so they are the smaller sets.
            if len(sets[j]) >= threshold * size and jaccard(sets[i], sets[j]) >= threshold:
                yield (i, j) if i < j else (j, i)
        for shingle in prefix:
            index[shingle].append(i)


def near_duplicate_candidates(
    sets: Sequence[Shingles], threshold: float
) -> Iterator[tuple[int, list[int]]]:
    """Yields `(i, earlier candidates)` in order, by MinHash with locality-sensitive hashing.

    Whether two sets are candidates depends on these two alone, so removing other rows never
    changes the answer. Callers verify the true similarity.
    """
    lsh = MinHashLSH(threshold=max(0.1, threshold - 0.15), num_perm=_PERMUTATIONS)
    for i, members in enumerate(sets):
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in members])
        yield i, sorted(int(str(j)) for j in lsh.query(sketch))
        lsh.insert(i, sketch)


class QuestionVectors:
    """Embeddings of questions, looked up by the question's text.

    Attributes:
        embedder_id: Names the vector space; recorded in the manifest.
    """

    def __init__(self, embedder_id: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self.embedder_id = embedder_id
        self._vectors = vectors

    @classmethod
    def of(cls, embedder_id: str, texts: Sequence[str], vectors: Vectors) -> "QuestionVectors":
        """Pairs texts with the rows of an embedder's answer."""
        return cls(embedder_id, dict(zip(texts, vectors, strict=True)))

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Returns the texts without a vector."""
        return [text for text in texts if text not in self._vectors]

    def matrix(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of `texts`, shape (len(texts), dimensions)."""
        if not texts:
            return np.zeros((0, 1), dtype=np.float32)
        return np.stack([self._vectors[text] for text in texts])


def cosine_pairs(left: Vectors, right: Vectors, threshold: float) -> Iterator[tuple[int, int]]:
    """Yields `(i, j)` with cosine(left[i], right[j]) >= threshold; rows are L2-normalised."""
    if not len(left) or not len(right):
        return
    for start in range(0, len(left), _BLOCK):
        products = left[start : start + _BLOCK] @ right.T
        rows, columns = np.nonzero(products >= threshold)
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
            yield start + i, j
