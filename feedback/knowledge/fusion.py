"""Fuses the two legs of a search by a convex sum (measured better than rank fusion)."""

from collections.abc import Mapping


def fuse(
    lexical: Mapping[str, float], cosine: Mapping[str, float], *, vector_share: float
) -> dict[str, float]:
    """Returns one score per candidate, 0..1.

    BM25 is divided by its maximum, cosines are stretched to 0..1 over the candidates.

    Args:
        lexical: BM25 score of every candidate chunk; a missing one is 0.
        cosine: Cosine of every candidate chunk; all candidates must be present.
        vector_share: Weight of the vector leg; the rest is BM25's.
    """
    best = max(lexical.values(), default=0.0)
    low, high = min(cosine.values(), default=0.0), max(cosine.values(), default=0.0)
    spread = high - low
    return {
        chunk: vector_share * ((value - low) / spread if spread > 0 else 1.0)
        + (1 - vector_share) * (lexical.get(chunk, 0.0) / best if best > 0 else 0.0)
        for chunk, value in cosine.items()
    }
