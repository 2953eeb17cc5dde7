"""How well the learnt tone scorer tells tones apart; prints one JSON object.

`python -m tests.benchmarks.bench_tone [--shared DIR] [--quick]`

- `politeness_spearman`: Stanford politeness (Stack Exchange), learnt on a random half, rank
  correlation with the raters' mean on the other half; `bag_of_words_spearman` and
  `bag_of_words_ridge_spearman`: tf-idf of words and pairs with a logistic model (on halves) and
  with ridge regression, on the same rows; `*_auc_quartiles`: top against bottom quartile.
- `politeness_auc_200`: the same learnt from 200 rows of the outer quartiles.
- `rater_spearman`, `rater_auc_quartiles`: how well one rater's score foretells the mean of the
  other four: what a person reaches.
- `calibration_error`: mean distance between the told and the true share, in ten bins.
- `star_final_above_draft`: agents' drafts and the replies they sent, learnt on half of the
  dialogues: share of the other half's pairs in which the reply scores higher.
- `star_auc_200`, `bitext_auc_200`: from 200 tags (drafts and replies; generic answers and a team's
  own) of one half of the dialogues or intents, area under the curve over the texts of the other
  half; mean of ten draws. `unseen` leaves out texts that stand word for word in the first half.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV

from feedback.tone.scorer import area_under_curve, learn
from tests.benchmarks.corpora import SHARED, embedded, read

_KEYS = [
    "politeness_spearman",
    "bag_of_words_spearman",
    "bag_of_words_ridge_spearman",
    "star_final_above_draft",
    "star_auc_200",
    "bitext_auc_200",
]
_DRAWS = 10
Floats = NDArray[np.float64]


def spearman(scores: Floats, truth: Floats) -> float:
    """Returns the rank correlation."""
    return round(float(spearmanr(scores, truth).statistic), 4)


def politeness(shared: Path) -> dict[str, Any]:
    """Learns on half of the requests and ranks the other half."""
    rows = read(shared / "tone" / "stanford_politeness.jsonl")
    texts = [row["text"] for row in rows]
    truth = np.array([row["politeness"] for row in rows])
    vectors = embedded(texts)
    order = np.random.default_rng(5).permutation(len(rows))
    train, test = order[: len(rows) // 2], order[len(rows) // 2 :]
    share = shares(truth[train])
    start = time.perf_counter()
    model = learn([texts[i] for i in train], vectors[train], share.tolist(), embedder_id="bench")
    seconds = time.perf_counter() - start
    told = model.probabilities([texts[i] for i in test], vectors[test])
    logistic, ridge = bags_of_words([texts[i] for i in train], share, [texts[i] for i in test])
    low, high = np.quantile(truth[test], [0.25, 0.75])
    outer = (truth[test] <= low) | (truth[test] >= high)
    polite = truth[test] >= high
    return {
        "politeness_spearman": spearman(told, truth[test]),
        "bag_of_words_spearman": spearman(logistic, truth[test]),
        "bag_of_words_ridge_spearman": spearman(ridge, truth[test]),
        "politeness_auc_quartiles": round(area_under_curve(told[outer], polite[outer]), 4),
        "bag_of_words_auc_quartiles": round(area_under_curve(ridge[outer], polite[outer]), 4),
        "politeness_auc_200": few_labels(texts, truth, vectors, train, test[outer]),
        **raters(rows),
        "calibration_error": calibration_error(told, shares(truth[train], truth[test])),
        "learn_seconds": round(seconds, 2),
    }


def shares(known: Floats, values: Floats | None = None) -> Floats:
    """Returns values on the scale from the lowest to the highest known one, 0..1."""
    wanted = known if values is None else values
    scaled: Floats = np.clip((wanted - known.min()) / (known.max() - known.min()), 0, 1)
    return scaled


def few_labels(
    texts: Sequence[str],
    truth: Floats,
    vectors: NDArray[np.float32],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> float:
    """Returns the area under the curve after 200 tags."""
    low, high = np.quantile(truth[train], [0.25, 0.75])
    outer = train[(truth[train] <= low) | (truth[train] >= high)][:200]
    model = learn(
        [texts[i] for i in outer],
        vectors[outer],
        (truth[outer] >= high).astype(float).tolist(),
        embedder_id="bench",
    )
    told = model.probabilities([texts[i] for i in test], vectors[test])
    return round(area_under_curve(told, truth[test] >= high), 4)


def bags_of_words(
    train: Sequence[str], share: Floats, test: Sequence[str]
) -> tuple[Floats, Floats]:
    """Returns both baselines' scores."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    bags, others = words.fit_transform(train), words.transform(test)
    half = share >= np.median(share)
    logistic = LogisticRegression(C=0.3, max_iter=3000).fit(bags, half)
    ridge = RidgeCV(np.logspace(-1, 3, 9)).fit(bags, share)
    return logistic.decision_function(others), ridge.predict(others)


def calibration_error(told: Floats, share: Floats) -> float:
    """Returns the mean distance between told probability and observed share, weighted by bin."""
    bins = np.minimum((told * 10).astype(int), 9)
    errors = [
        (bins == b).mean() * abs(float(told[bins == b].mean()) - float(share[bins == b].mean()))
        for b in np.unique(bins)
    ]
    return round(float(np.sum(errors)), 4)


def raters(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns how well one rater foretells the mean of the other four: what a person reaches."""
    scores = np.array([row["scores"] for row in rows], dtype=np.float64)
    found = []
    for one in range(scores.shape[1]):
        others = np.delete(scores, one, axis=1).mean(axis=1)
        low, high = np.quantile(others, [0.25, 0.75])
        outer = (others <= low) | (others >= high)
        found.append(
            (
                spearman(scores[:, one], others),
                area_under_curve(scores[outer, one], others[outer] >= high),
            )
        )
    rank, area = np.mean(found, axis=0)
    return {"rater_spearman": round(float(rank), 4), "rater_auc_quartiles": round(float(area), 4)}


class Contrast:
    """Answers before and after a person's hand, in groups that a learner sees whole or not at all.

    Args:
        before: Drafts or generic answers: off brand.
        after: What was sent instead: on brand.
        groups: One of each pair.
    """

    def __init__(self, before: list[str], after: list[str], groups: list[Any]) -> None:
        self.texts = [*before, *after]
        self.vectors = embedded(self.texts)
        self.on_brand = np.repeat([False, True], len(before))
        self._groups = np.array([*groups, *groups])

    def halves(self, seed: int) -> NDArray[np.bool_]:
        """Returns which texts are of the half of the groups that is learnt from."""
        names = np.unique(self._groups)
        chosen = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
        return np.isin(self._groups, chosen)

    def told(self, rows: NDArray[np.int64]) -> Floats:
        """Learns from some rows and returns every text's probability."""
        model = learn(
            [self.texts[row] for row in rows],
            self.vectors[rows],
            self.on_brand[rows].astype(float).tolist(),
            embedder_id="bench",
        )
        return model.probabilities(self.texts, self.vectors)

    def fresh(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns which texts stand word for word in none of the rows."""
        seen = {self.texts[row] for row in rows}
        return np.array([text not in seen for text in self.texts])

    def after_tags(self, tags: int) -> dict[str, float]:
        """Returns the area under the curve after so many tags of one half, on the other half.

        The mean of `_DRAWS` draws; `unseen` leaves out texts that stand word for word in the half
        that was learnt from.
        """
        areas: list[tuple[float, float]] = []
        for seed in range(_DRAWS):
            inside = self.halves(seed)
            pool = np.random.default_rng(seed).permutation(np.flatnonzero(inside))
            told, new = self.told(pool[:tags]), ~inside & self.fresh(pool)
            areas.append(
                (
                    area_under_curve(told[~inside], self.on_brand[~inside]),
                    area_under_curve(told[new], self.on_brand[new]),
                )
            )
        all_texts, unseen = np.mean(areas, axis=0)
        return {"all": round(float(all_texts), 4), "unseen": round(float(unseen), 4)}


def star(shared: Path) -> dict[str, Any]:
    """Learns drafts against sent replies on half of the dialogues and ranks the other half."""
    rows = read(shared / "support" / "star_draft_vs_final.jsonl")
    rows = [row for row in rows if row["draft_answer"].strip() != row["final_answer"].strip()]
    pairs = Contrast(
        [row["draft_answer"] or "-" for row in rows],
        [row["final_answer"] or "-" for row in rows],
        [row["dialogue_id"] for row in rows],
    )
    inside = pairs.halves(5)
    told, outside = pairs.told(np.flatnonzero(inside)), ~inside[: len(rows)]
    draft, final = told[: len(rows)][outside], told[len(rows) :][outside]
    fresh = pairs.fresh(np.flatnonzero(inside))[len(rows) :][outside]
    return {
        "star_final_above_draft": round(float((final > draft).mean()), 4),
        "star_final_above_draft_unseen": round(float((final > draft)[fresh].mean()), 4),
        "star_pairs": int(outside.sum()),
        "star_pairs_unseen": int(fresh.sum()),
        "star_auc_200": pairs.after_tags(200),
    }


def bitext(shared: Path) -> dict[str, Any]:
    """Learns generic answers against a team's own; half of the intents are never learnt from."""
    rows = read(shared / "support" / "bitext_pairs_generic_vs_rich.jsonl")
    pairs = Contrast(
        [row["bot_answer"] for row in rows],
        [row["correction"] for row in rows],
        [row["intent"] for row in rows],
    )
    return {"bitext_auc_200": pairs.after_tags(200)}


def main() -> None:
    """Runs all parts; `--quick` leaves the replies of agents out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--quick", action="store_true", help="politeness only")
    options = parser.parse_args()
    if not options.shared.is_dir():
        missing = f"{options.shared} is not there: give the folder of the corpora with --shared"
        print(json.dumps(dict.fromkeys(_KEYS) | {"skipped": missing}))
        return
    report = dict.fromkeys(_KEYS) | politeness(options.shared)
    if not options.quick:
        report |= star(options.shared) | bitext(options.shared)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
