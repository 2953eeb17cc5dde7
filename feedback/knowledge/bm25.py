"""BM25 as stored impacts: the part of the score that depends on the chunk is computed once.

score(question, chunk) = sum over terms of idf(term) * impact(term, chunk), with
impact = tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average length)) and
idf = ln(1 + (N - df + 0.5) / (df + 0.5)) (Robertson and Zaragoza, 2009, with Lucene's idf).
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from feedback.domain.knowledge import Chunk
from feedback.knowledge.analysis import terms


@dataclass(frozen=True, kw_only=True)
class Bm25Policy:
    """Constants of the score.

    Attributes:
        k1: Saturation of repeated terms.
        b: Strength of the length normalisation.
        heading_weight: How many times title and heading words count.
    """

    k1: float = 1.2
    b: float = 0.75
    heading_weight: int = 2


def term_counts(chunk: Chunk, policy: Bm25Policy) -> Counter[str]:
    """Returns how often each term occurs in the chunk; title and headings count more."""
    counts = Counter(terms(chunk.text))
    for term in terms(chunk.path):
        counts[term] += policy.heading_weight
    return counts


def impacts(
    counts: Mapping[str, int], average_length: float, policy: Bm25Policy
) -> dict[str, float]:
    """Returns each term's impact in one chunk.

    Args:
        counts: Term counts of the chunk.
        average_length: Mean sum of the counts over all chunks.
        policy: Constants.
    """
    length = sum(counts.values())
    norm = policy.k1 * (1 - policy.b + policy.b * length / max(average_length, 1e-9))
    return {term: tf * (policy.k1 + 1) / (tf + norm) for term, tf in counts.items()}


def idf(chunks: int, holding: int) -> float:
    """Returns the weight of a term that `holding` of `chunks` chunks contain."""
    return math.log(1 + (chunks - holding + 0.5) / (holding + 0.5))
