"""A new subject inside a large community becomes a pattern of its own.

Communities fit the bulk of the failures: a subject that is some nights old has few, and the
community of its nearest kin swallows it. Its neighbourhood gives it away. The nearest neighbours
of any other new failure are as old as the rest; those of a new subject are new like itself.
"""

from collections.abc import Iterator

import igraph
import numpy as np
from numpy.typing import NDArray

from feedback.mining.knn import Neighbours

Labels = NDArray[np.int64]
Rows = NDArray[np.int64]


def news_apart(
    labels: Labels, neighbours: Neighbours, start: Labels, *, own_share: float, min_size: int
) -> Labels:
    """Gives labels of their own to new subjects that a community swallowed.

    Args:
        labels: Communities, every row in one.
        neighbours: The rows' nearest neighbours.
        start: The previous pattern of each row; negative for rows that were in none: the news.
        own_share: Share of a row's neighbours that must be new, and of a subject's neighbours
            that must be its own.
        min_size: Smaller ones are left where they are.
    """
    result = labels.copy()
    new = start < 0
    for core in _cores(labels, neighbours, new, own_share):
        community = np.flatnonzero(labels == labels[core[0]])
        # With the news most of whose neighbours are there, less sharply new ones too.
        near = new[community] & (_share_in(core, community, neighbours, len(labels)) >= 0.5)
        rows = np.union1d(core, community[near])
        if len(rows) < min_size or 2 * len(rows) > len(community):
            continue
        if _share_in(rows, rows, neighbours, len(labels)).mean() >= own_share:
            result[rows] = result.max() + 1
    return result


def _cores(
    labels: Labels, neighbours: Neighbours, new: NDArray[np.bool_], share: float
) -> Iterator[Rows]:
    """Yields groups of news that are each other's neighbours, within one community each.

    After a busy night many neighbours are new anyway: a core has at least twice as many.
    """
    often = max(share, 2 * float(new.mean()))
    core = new & (new[neighbours.index].mean(axis=1) >= often)
    rows = np.flatnonzero(core)
    source = np.repeat(rows, neighbours.index.shape[1])
    target = neighbours.index[rows].ravel()
    kept = core[target] & (labels[source] == labels[target])
    edges = np.column_stack((source[kept], target[kept]))
    graph = igraph.Graph(n=len(labels), edges=edges)  # type: ignore[no-untyped-call]
    parts = graph.connected_components()  # type: ignore[no-untyped-call]
    owner = np.asarray(parts.membership, dtype=np.int64)[rows]
    for group in np.unique(owner):
        yield rows[owner == group]


def _share_in(rows: Rows, asked: Rows, neighbours: Neighbours, count: int) -> NDArray[np.float64]:
    """Returns, for each asked row, the share of its neighbours that are among `rows`."""
    inside = np.zeros(count, dtype=bool)
    inside[rows] = True
    share: NDArray[np.float64] = inside[neighbours.index[asked]].mean(axis=1)
    return share
