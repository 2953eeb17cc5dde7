"""External scores of a clustering against gold labels, straight from their definitions."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[attr-defined]

Labels = NDArray[np.int64]


def _table(truth: Labels, found: Labels) -> NDArray[np.float64]:
    rows = np.unique(truth, return_inverse=True)[1]
    columns = np.unique(found, return_inverse=True)[1]
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    return table


def nmi(truth: Labels, found: Labels) -> float:
    """Mutual information over the mean of both entropies."""
    joint = _table(truth, found) / len(truth)
    rows, columns = joint.sum(1), joint.sum(0)
    seen = joint > 0
    mutual = (joint[seen] * np.log(joint[seen] / np.outer(rows, columns)[seen])).sum()
    entropy = -(rows * np.log(rows)).sum() - (columns * np.log(columns)).sum()
    return float(2 * mutual / entropy) if entropy else 1.0


def ari(truth: Labels, found: Labels) -> float:
    """Rand index corrected for chance (Hubert and Arabie, 1985)."""
    table = _table(truth, found)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    chance = rows * columns / pairs(np.array([float(len(truth))]))
    best = (rows + columns) / 2
    return (together - chance) / (best - chance) if best != chance else 1.0


def accuracy(truth: Labels, found: Labels) -> float:
    """Share of items right under the best one-to-one matching of clusters and classes."""
    table = _table(truth, found)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(truth))
