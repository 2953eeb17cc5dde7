"""The learnt tone scorer: it learns, it is calibrated, it refuses what it cannot know."""

import asyncio
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import InvalidInputError
from feedback.testing import HashingEmbedder
from feedback.tone import StyleGuide
from feedback.tone.scorer import (
    MIN_LABELS,
    PreparedTone,
    ToneModel,
    area_under_curve,
    learn,
)
from feedback.tone.strategies import STRATEGIES, strategies

SUBJECTS = ["refund", "export", "login", "invoice", "drawer", "archive", "seal", "trial"]
WARM = ["Happy to help! The {} is in Settings.", "Thank you for asking, the {} is in Settings."]
COLD = ["the {} is in settings, read it", "why ask? {} must be in settings"]


def tags(count: int) -> tuple[list[str], list[float]]:
    texts, targets = [], []
    for number in range(count):
        subject, warm = SUBJECTS[number % 8], number % 2
        sentence = (WARM if warm else COLD)[number // 2 % 2]
        texts.append(sentence.format(f"{subject} {number}"))
        targets.append(float(warm))
    return texts, targets


def learnt(count: int = 80) -> ToneModel:
    texts, targets = tags(count)
    embedder = HashingEmbedder()
    vectors = asyncio.run(embedder.embed(texts))
    return learn(texts, vectors, targets, embedder_id=embedder.id)


def test_it_tells_tones_apart_on_subjects_it_never_saw() -> None:
    model = learnt()
    fresh = [
        "Happy to help! The harbour is in Settings.",
        "why ask? harbour must be in settings",
    ]
    warm, cold = model.probabilities(fresh, asyncio.run(HashingEmbedder().embed(fresh)))
    assert warm > model.threshold > cold
    assert model.auc == model.sensitivity == model.specificity == 1.0
    assert (model.labels, model.on_brand_labels) == (80, 40)


def test_left_out_scores_are_those_of_a_model_without_the_row() -> None:
    """The closed form of leaving one out: random tags are not told apart, however many features."""
    random = np.random.default_rng(3)
    texts = [f"word{n} word{n * 7 % 31}" for n in range(120)]
    vectors = asyncio.run(HashingEmbedder().embed(texts))
    targets = random.permutation(np.repeat([0.0, 1.0], 60)).tolist()
    assert learn(texts, vectors, targets, embedder_id="e").auc < 0.65


def test_probabilities_are_calibrated() -> None:
    """Where only three of four raters agree, the model says three of four."""
    texts, sides = tags(400)
    shares = [0.75 if side else 0.25 for side in sides]
    vectors = asyncio.run(HashingEmbedder().embed(texts))
    model = learn(texts, vectors, shares, embedder_id="e")
    told = model.probabilities(texts, vectors)
    assert told[np.array(sides) == 1].mean() == pytest.approx(0.75, abs=0.03)
    assert told[np.array(sides) == 0].mean() == pytest.approx(0.25, abs=0.03)


def test_a_model_survives_its_file() -> None:
    model = learnt()
    assert ToneModel.from_row(json.loads(json.dumps(model.to_row()))) == model


@pytest.mark.parametrize("row", [{}, {"weights": [1.0]}, []])
def test_another_file_is_refused(row: object) -> None:
    with pytest.raises(InvalidInputError, match="no learnt tone scorer"):
        ToneModel.from_row(row)  # type: ignore[arg-type]


def test_too_few_tags_or_one_kind_teach_nothing() -> None:
    texts, targets = tags(MIN_LABELS)
    vectors = asyncio.run(HashingEmbedder().embed(texts))
    with pytest.raises(InvalidInputError, match="both kinds"):
        learn(texts, vectors, [1.0] * len(texts), embedder_id="e")
    with pytest.raises(InvalidInputError, match="50 together"):
        learn(texts[:-1], vectors[:-1], targets[:-1], embedder_id="e")


async def test_it_judges_beside_the_rules_and_only_in_its_own_space() -> None:
    texts, targets = tags(60)
    embedder = HashingEmbedder()
    model = learn(texts, await embedder.embed(texts), targets, embedder_id=embedder.id)
    guide = StyleGuide([], scorer=await PreparedTone.of(model, embedder, texts))
    assert [guide.is_on_brand(text) for text in texts] == [target == 1 for target in targets]
    with pytest.raises(InvalidInputError, match="learn it anew"):
        await PreparedTone.of(model, HashingEmbedder(64), texts)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_the_area_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in rows])
    positive = np.array([side for _, side in rows])
    pairs = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one in scores[positive]
        for other in scores[~positive]
    ]
    expected = float(np.mean(pairs)) if pairs else 0.5
    assert area_under_curve(scores, positive) == pytest.approx(expected)


@given(st.lists(st.text(), max_size=5))
def test_every_text_has_finite_figures(texts: list[str]) -> None:
    figures = strategies(texts)
    assert figures.shape == (len(texts), len(STRATEGIES))
    assert np.isfinite(figures).all()
