"""Labels without a language model: class-based TF-IDF keywords and the medoid example.

c-TF-IDF as in BERTopic's documentation: `tf * log(1 + A / f)`, with tf the share of the word in
the cluster's text, A the mean number of words per cluster and f the word's count over all clusters.
User text never reaches a model here, so a planted question cannot steer a label.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.knowledge.analysis import content_words, stem
from feedback.ports import Vectors


def keywords(clusters: Sequence[Sequence[str]], *, count: int = 5) -> list[tuple[str, ...]]:
    """Returns the `count` most telling words of every cluster of texts, best first.

    Words are counted by stem; the most frequent spelling of a stem is shown.
    """
    spelling: dict[str, Counter[str]] = {}
    bags: list[Counter[str]] = []
    for texts in clusters:
        bag: Counter[str] = Counter()
        for text in texts:
            for word in content_words(text):
                if len(word) < 2 or word.isdigit():
                    continue
                root = stem(word)
                spelling.setdefault(root, Counter())[word] += 1
                bag[root] += 1
        bags.append(bag)
    total: Counter[str] = Counter()
    for bag in bags:
        total.update(bag)
    mean_words = sum(total.values()) / max(len(bags), 1)
    return [_best(bag, total, mean_words, spelling, count) for bag in bags]


def _best(
    bag: Counter[str],
    total: Counter[str],
    mean_words: float,
    spelling: dict[str, Counter[str]],
    count: int,
) -> tuple[str, ...]:
    size = max(sum(bag.values()), 1)
    weight = {
        root: occurrences / size * math.log(1 + mean_words / total[root])
        for root, occurrences in bag.items()
    }
    best = sorted(weight, key=lambda root: (-weight[root], root))[:count]
    return tuple(spelling[root].most_common(1)[0][0] for root in best)


def by_typicality(vectors: Vectors, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns `rows` ordered by similarity to their mean; the first one is the medoid."""
    centre = vectors[rows].mean(axis=0)
    likeness = np.round(vectors[rows] @ centre, 6)
    return rows[np.lexsort((rows, -likeness))]
