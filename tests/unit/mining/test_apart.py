"""A young subject inside a large community becomes its own; chance clumps do not."""

import numpy as np
import pytest

from feedback.mining.apart import news_apart
from feedback.mining.cluster import ClusterPolicy, cluster
from feedback.mining.knn import nearest
from feedback.ports import Vectors

OLD, NEW = 200, 16


def points(apart: float, *, old: int = OLD, seed: int = 0) -> tuple[Vectors, np.ndarray]:
    """An old subject and a young one, whose centres lie `apart` (0 for one and the same)."""
    random = np.random.default_rng(seed)
    centre = random.normal(size=96)
    centre /= np.linalg.norm(centre)
    aside = random.normal(size=96)
    aside -= (aside @ centre) * centre
    aside /= np.linalg.norm(aside)
    young = np.arange(old + NEW) >= old
    values = np.where(young[:, None], centre + apart * aside, centre)
    values = values + random.normal(size=values.shape) * 0.06
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    return unit.astype(np.float32), young


def found(vectors: Vectors, start: np.ndarray) -> np.ndarray:
    labels = np.zeros(len(vectors), dtype=np.int64)
    return news_apart(
        labels, nearest(vectors, 15), start.astype(np.int64), own_share=0.3, min_size=3
    )


def test_a_new_subject_is_split_off() -> None:
    vectors, young = points(1.0)
    assert (found(vectors, np.where(young, -1, 0)) == young).mean() >= 0.99


@pytest.mark.parametrize("seed", range(5))
def test_new_failures_of_an_old_subject_are_not(seed: int) -> None:
    vectors, young = points(0.0, seed=seed)
    assert found(vectors, np.where(young, -1, 0)).max() == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.15, 0.6])
def test_news_everywhere_split_nothing(seed: int, share: float) -> None:
    vectors, _ = points(0.0, seed=seed)
    news = np.random.default_rng(seed).random(len(vectors)) < share
    assert found(vectors, np.where(news, -1, 0)).max() == 0


def test_a_community_that_is_theirs_is_left_to_the_news() -> None:
    vectors, young = points(1.0, old=10)
    assert found(vectors, np.where(young, -1, 0)).max() == 0


def test_a_run_that_knows_the_night_before_finds_the_new_subject() -> None:
    """Constants that fit the bulk swallow it; the history gives it away."""
    vectors, young = points(0.75, old=1200)
    policy = ClusterPolicy(merge_cosine=0.3)
    assert cluster(vectors, policy).max() == 0
    night = cluster(vectors, policy, start=np.where(young, -1, 0).astype(np.int64))
    assert (night == young).mean() >= 0.99
