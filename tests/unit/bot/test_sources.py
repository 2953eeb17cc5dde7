"""Which documents are named under an answer."""

from bot.drafts import Source, documents_of, sources_of
from feedback.domain.interaction import Retrieved
from feedback.domain.knowledge import Hit


def hit(doc: str, score: float) -> Hit:
    return Hit(
        doc_id=doc,
        chunk_id=f"{doc}-1",
        score=score,
        title=doc.title(),
        heading="",
        text="",
        uri=f"https://docs.example/{doc}",
    )


def test_what_trails_far_behind_is_not_named() -> None:
    hits = [hit("refunds", 0.93), hit("exports", 0.44), hit("trash", 0.36)]
    assert sources_of(hits) == (Source(title="Refunds", uri="https://docs.example/refunds"),)


def test_each_document_once_and_three_at_most() -> None:
    hits = [hit(doc, 0.9) for doc in ("a", "b", "a", "c", "d")]
    assert [source.title for source in sources_of(hits)] == ["A", "B", "C"]


def test_a_stored_answer_names_the_same() -> None:
    hits = [hit("refunds", 0.8), hit("billing", 0.5), hit("trash", 0.1)]
    stored = [Retrieved(doc_id=h.doc_id, score=h.score, chunk_id=h.chunk_id) for h in hits]
    assert documents_of(stored) == documents_of(hits) == ["refunds", "billing"]


def test_nothing_found_names_nothing() -> None:
    assert sources_of([]) == ()
