"""Real, licensed questions; skipped where they are not at hand."""

from pathlib import Path

import pytest

from feedback.domain.interaction import InteractionRecord
from feedback.jsonl import open_jsonl
from retrain.dataset import DatasetPolicy, QuestionVectors
from retrain.dataset.text_cleaners import find_placeholder
from retrain.embedding import MiniLmEmbedder
from tests.unit.dataset.samples import built, record

DATA = Path(__file__).parents[4] / "shared" / "data"
PAIRS = DATA / "support" / "bitext_pairs_generic_vs_rich.jsonl"
QUESTIONS = DATA / "queries" / "banking77_train.jsonl"


@pytest.mark.skipif(not PAIRS.exists(), reason="needs the bitext pairs")
def test_no_template_survives_and_every_rejection_is_explained() -> None:
    source = open_jsonl(str(PAIRS))
    rows = list(source.rows(dict))
    records = [InteractionRecord.from_row({**row, "answer": row["bot_answer"]}) for row in rows]
    outcome = built(records)
    kept = [*outcome.train, *(held.row for held in outcome.holdout)]
    assert [row.id for row in kept if "{{" in row.completion] == []
    out = {rejection.id: rejection for rejection in outcome.rejected}
    unfilled = [row["id"] for row in rows if find_placeholder(row["correction"])]
    assert len(unfilled) > 100
    assert {out[id_].reason for id_ in unfilled} == {"placeholder"}
    assert all(rejection.detail for rejection in outcome.rejected)
    assert {row.id for row in kept} | out.keys() == {row["id"] for row in rows}


@pytest.mark.slow  # embeds some hundred questions
@pytest.mark.skipif(not QUESTIONS.exists(), reason="needs the banking77 questions")
def test_no_held_out_question_has_a_twin_in_training() -> None:
    source = open_jsonl(str(QUESTIONS))
    rows = list(source.rows(dict))[::60]
    records = [
        record(row["id"], row["text"], f"See page {number} of the bank.", ts=number)
        for number, row in enumerate(rows)
    ]
    texts = sorted({row["text"] for row in rows})
    embedder = MiniLmEmbedder()
    vectors = QuestionVectors.of(embedder.id, texts, embedder.embed_now(texts))
    outcome = built(records, DatasetPolicy(replay_share=0.0), vectors=vectors)
    at, below = outcome.facts["split"]["leaks"]
    assert (at["cosine"], at["leaking_pairs"]) == (0.8, 0)
    assert below["leaking_pairs"] > 0
    quarantined = [r for r in outcome.rejected if r.reason == "quarantine"]
    assert len(quarantined) < 0.05 * len(rows)
