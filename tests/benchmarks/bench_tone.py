"""How well the learnt tone scorer tells tones apart; prints one JSON object.

`python -m tests.benchmarks.bench_tone [--shared DIR] [--quick]`

- `politeness_spearman`: Stanford politeness (Stack Exchange), learnt on a random half, rank
  correlation with the raters' mean on the other half; `bag_of_words_spearman` and
  `bag_of_words_ridge_spearman`: tf-idf of words and pairs with a logistic model (on halves) and
  with ridge regression, on the same rows; `*_auc_quartiles`: top against bottom quartile.
- `politeness_auc_200`: the same learnt from 200 rows of the outer quartiles.
- `calibration_error`: mean distance between the told and the true share, in ten bins.
- `star_final_above_draft`: agents' drafts and the replies they sent, learnt on half of the
  dialogues: share of the other half's pairs in which the reply scores higher.
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
]
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


def star(shared: Path) -> dict[str, Any]:
    """Learns drafts against sent replies on half of the dialogues and ranks the other half."""
    rows = read(shared / "support" / "star_draft_vs_final.jsonl")
    rows = [row for row in rows if row["draft_answer"].strip() != row["final_answer"].strip()]
    dialogues = np.unique([row["dialogue_id"] for row in rows])
    chosen = np.random.default_rng(5).permutation(dialogues)[: len(dialogues) // 2]
    inside = np.isin([row["dialogue_id"] for row in rows], chosen)
    drafts = [row["draft_answer"] or "-" for row in rows]
    finals = [row["final_answer"] or "-" for row in rows]
    vectors = embedded([*drafts, *finals])
    kept = np.concatenate([inside, inside])
    texts = [*drafts, *finals]
    targets = np.repeat([0.0, 1.0], len(rows))
    model = learn(
        [texts[i] for i in np.flatnonzero(kept)],
        vectors[kept],
        targets[kept].tolist(),
        embedder_id="bench",
    )
    told = model.probabilities(texts, vectors)
    draft, final = told[: len(rows)][~inside], told[len(rows) :][~inside]
    seen = {text for text, used in zip(texts, kept, strict=True) if used}
    fresh = np.array([text not in seen for text in finals])[~inside]
    return {
        "star_final_above_draft": round(float((final > draft).mean()), 4),
        "star_final_above_draft_unseen": round(float((final > draft)[fresh].mean()), 4),
        "star_pairs": int((~inside).sum()),
        "star_pairs_unseen": int(fresh.sum()),
    }


def main() -> None:
    """Runs both parts; `--quick` leaves the replies of agents out."""
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
        report |= star(options.shared)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
