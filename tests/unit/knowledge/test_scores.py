import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.knowledge import Chunk, Signals
from feedback.knowledge.analysis import content_words, terms
from feedback.knowledge.bm25 import Bm25Policy, idf, impacts, term_counts
from feedback.knowledge.fusion import fuse
from feedback.knowledge.search import AnswerablePolicy


def test_the_analyser_lowers_splits_stops_and_stems() -> None:
    assert terms("The Invoices were SENT, re-sent & paid in 2026!") == [
        "invoic",
        "sent",
        "sent",
        "paid",
        "2026",
    ]
    assert content_words("What is it?") == []


def test_impact_is_bm25_of_the_textbook() -> None:
    counts = Counter({"refund": 2, "bank": 1, "day": 1})
    held = impacts(counts, average_length=8.0, policy=Bm25Policy(k1=1.2, b=0.75))
    norm = 1.2 * (1 - 0.75 + 0.75 * 4 / 8)
    assert held["refund"] == pytest.approx(2 * 2.2 / (2 + norm))
    assert idf(10, 3) == pytest.approx(math.log(1 + 7.5 / 3.5))


@given(st.integers(1, 10_000), st.data())
def test_rarer_terms_weigh_more_and_no_weight_is_negative(n: int, data: st.DataObject) -> None:
    holding = data.draw(st.integers(0, n - 1))
    assert idf(n, holding) > idf(n, holding + 1) > 0


def test_headings_count_more_than_text() -> None:
    chunk = Chunk(
        chunk_id="c",
        doc_id="d",
        position=0,
        title="Refunds",
        heading="Banks",
        text="A bank needs days.",
        content_hash="h",
    )
    assert term_counts(chunk, Bm25Policy()) == {"bank": 3, "refund": 2, "need": 1, "day": 1}


def test_fusion_is_a_convex_sum_of_scaled_scores() -> None:
    fused = fuse({"a": 4.0, "b": 2.0}, {"a": 0.2, "b": 0.6, "c": 0.4}, vector_share=0.25)
    assert fused == pytest.approx({"a": 0.75, "b": 0.25 + 0.375, "c": 0.125})
    assert fuse({}, {"a": 0.3}, vector_share=0.5) == {"a": 0.5}
    assert fuse({}, {}, vector_share=0.5) == {}


scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1, 1), min_size=1)


@given(scores, st.floats(0, 1))
def test_fused_scores_lie_between_nought_and_one(cosine: dict[str, float], share: float) -> None:
    lexical = {name: abs(value) * 9 for name, value in cosine.items() if value > 0}
    for value in fuse(lexical, cosine, vector_share=share).values():
        assert -1e-9 <= value <= 1 + 1e-9


@given(st.floats(0, 0.9), st.floats(0.01, 0.1))
def test_a_nearer_best_passage_is_never_less_answerable(cosine: float, more: float) -> None:
    policy = AnswerablePolicy()
    low = policy.probability(Signals(top_cosine=cosine, gap=0.2, coverage=0.5))
    high = policy.probability(Signals(top_cosine=cosine + more, gap=0.2, coverage=0.5))
    assert 0 <= low < high <= 1
