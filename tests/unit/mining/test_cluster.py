import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from feedback.mining.cluster import (
    NOISE,
    ClusterPolicy,
    average_linkage,
    cluster,
    merge_alike,
    resolution_for,
)
from feedback.mining.knn import nearest
from feedback.ports import Vectors


def normalised(values: np.ndarray) -> Vectors:
    unit: Vectors = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return unit


def planted(groups: int, size: int, noise: int, *, seed: int = 0) -> tuple[Vectors, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = normalised(random.normal(size=(groups, 64)))
    truth = np.concatenate([np.repeat(np.arange(groups), size), np.full(noise, NOISE)])
    spread = random.normal(size=(groups * size, 64)) * 0.08
    points = np.concatenate(
        [centres[truth[: groups * size]] + spread, random.normal(size=(noise, 64))]
    )
    order = random.permutation(len(truth))
    return normalised(points)[order], truth[order]


def agreement(truth: np.ndarray, found: np.ndarray) -> float:
    """Share of pairs on which two labellings agree (Rand index); noise stands alone."""

    def alone(labels: np.ndarray) -> np.ndarray:
        return np.where(labels < 0, -1 - np.arange(len(labels)), labels)

    one, other = alone(truth), alone(found)
    same = (one[:, None] == one[None, :]) == (other[:, None] == other[None, :])
    return float(same[np.triu_indices(len(truth), k=1)].mean())


@pytest.mark.parametrize(("groups", "size", "noise"), [(6, 10, 60), (20, 30, 600)])
def test_planted_groups_are_found_in_as_much_noise(groups: int, size: int, noise: int) -> None:
    vectors, truth = planted(groups, size, noise)
    found = cluster(vectors, ClusterPolicy())
    assert agreement(truth, found) >= 0.995
    clustered = found >= 0
    assert (truth[clustered] >= 0).mean() >= 0.9


def test_labels_are_dense_and_ordered_by_size() -> None:
    vectors, _ = planted(5, 8, 0, seed=3)
    labels = cluster(np.concatenate([vectors, vectors[:8]]), ClusterPolicy())
    sizes = np.bincount(labels[labels >= 0])
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert set(labels) - {NOISE} == set(range(len(sizes)))


@pytest.mark.parametrize("count", [60, 1200])
def test_a_repeated_run_gives_the_same_labels(count: int) -> None:
    vectors, _ = planted(6, count // 10, count - 6 * (count // 10))
    first = cluster(vectors, ClusterPolicy())
    assert np.array_equal(first, cluster(vectors, ClusterPolicy()))


def test_a_warm_start_on_the_same_items_changes_little() -> None:
    vectors, _ = planted(20, 50, 200)
    first = cluster(vectors, ClusterPolicy())
    assert agreement(first, cluster(vectors, ClusterPolicy(), start=first)) >= 0.99


def test_average_linkage_is_the_textbook_one() -> None:
    random = np.random.default_rng(5)
    vectors = normalised(random.normal(size=(80, 4)))
    upper = np.triu_indices(80, k=1)
    condensed = (1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64))[upper]
    expected = fcluster(linkage(condensed, "average"), 0.5, criterion="distance")
    found = average_linkage(vectors, 0.5)
    assert len(set(found)) == len(set(expected))
    assert agreement(expected, found) == 1.0


def test_pieces_of_one_community_are_joined() -> None:
    vectors, truth = planted(3, 40, 0)
    pieces = truth * 2 + np.arange(len(truth)) % 2
    assert agreement(truth, merge_alike(vectors, pieces, 0.65)) == 1.0


def test_nothing_in_nothing_out() -> None:
    assert cluster(np.empty((0, 8), dtype=np.float32), ClusterPolicy()).tolist() == []
    assert cluster(np.eye(1, 8, dtype=np.float32), ClusterPolicy()).tolist() == [NOISE]


def test_resolution_follows_the_trials_and_stays_in_their_range() -> None:
    assert [resolution_for(n) for n in (1_000, 3_000, 10_000)] == pytest.approx([5, 8, 3])
    assert resolution_for(10) == 5
    assert resolution_for(1_000_000) == 3


def test_cells_find_almost_the_same_neighbours_as_the_exact_search() -> None:
    vectors, _ = planted(30, 60, 200)
    exact = nearest(vectors, 10)
    fast = nearest(vectors, 10, exact_limit=100)
    kept = [len(set(a) & set(b)) for a, b in zip(exact.index, fast.index, strict=True)]
    assert sum(kept) / exact.index.size >= 0.97
    assert (np.diff(fast.cosine, axis=1) <= 1e-6).all()
    assert not (fast.index == np.arange(len(vectors))[:, None]).any()
