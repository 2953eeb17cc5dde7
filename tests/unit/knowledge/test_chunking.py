import itertools
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.domain.knowledge import Document
from feedback.knowledge.chunking import (
    MAX_WORDS,
    MIN_WORDS,
    OVERLAP_WORDS,
    chunk,
    document_hash,
)


def page(text: str, **fields: str) -> Document:
    return Document(doc_id="page", title=fields.get("title", "Guide"), text=text)


def test_sections_carry_their_heading_path() -> None:
    chunks = chunk(
        page(
            "# Guide\nThe guide explains all things.\n\n## Accounts\n\n### Closing\n"
            "Only the owner may close it.\n## Bills\nA bill comes each month."
        )
    )
    assert [(item.heading, item.text) for item in chunks] == [
        ("", "The guide explains all things."),
        ("Accounts > Closing", "Only the owner may close it."),
        ("Bills", "A bill comes each month."),
    ]
    assert chunks[1].path == "Guide > Accounts > Closing"
    assert [item.position for item in chunks] == [0, 1, 2]


def test_code_fences_hold_no_headings() -> None:
    (only,) = chunk(page("Run this in a shell:\n```\n# not a heading\nmake all\n```"))
    assert "# not a heading" in only.text


def test_link_targets_anchors_and_escapes_go_words_stay() -> None:
    (only,) = chunk(page('See [the long page](https://x.example/a "t") about snake\\_case.{#top}'))
    assert only.text == "See the long page about snake_case."


def test_tiny_passages_are_dropped() -> None:
    assert chunk(page("## Empty\n\n## Three\nOnly three words")) == []


def test_long_sections_overlap_by_whole_sentences() -> None:
    text = " ".join(f"Sentence number {n} says something short." for n in range(100))
    chunks = chunk(page(text))
    assert len(chunks) > 2
    for one, other in itertools.pairwise(chunks):
        shared = [s for s in other.text.split(". ") if s.rstrip(".") in one.text]
        assert 1 <= sum(len(s.split()) for s in shared) <= OVERLAP_WORDS
    assert "number 99" in chunks[-1].text


def test_a_table_without_sentences_is_cut_between_words() -> None:
    chunks = chunk(page(" ".join(["cell"] * (2 * MAX_WORDS + 10))))
    assert [len(item.text.split()) for item in chunks] == [MAX_WORDS, MAX_WORDS, 10]


def test_identity_is_of_place_and_text() -> None:
    same = "A bill comes each month."
    twice = chunk(page(f"## Bills\n{same}\n## Bills\n{same}"))
    assert twice[0].content_hash == twice[1].content_hash
    assert twice[0].chunk_id != twice[1].chunk_id
    other_title = chunk(page(f"## Bills\n{same}", title="Other"))[0]
    assert other_title.content_hash != twice[0].content_hash
    assert chunk(page(f"## BILLS!\n{same}"))[0].chunk_id == twice[0].chunk_id


def test_document_hash_sees_everything_a_search_depends_on() -> None:
    base = Document(doc_id="a", title="T", text="x")
    changed = [
        Document(doc_id="a", title="U", text="x"),
        Document(doc_id="a", title="T", text="y"),
        Document(doc_id="a", title="T", text="x", uri="https://x.example"),
        Document(doc_id="a", title="T", text="x", audience="staff"),
        Document(doc_id="a", title="T", text="x", expires_at=datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    assert len({document_hash(item) for item in [base, *changed]}) == 6
    touched = Document(doc_id="a", title="T", text="x", updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert document_hash(touched) == document_hash(base)


pieces = st.lists(
    st.sampled_from(["# Top", "## Sub", "word", "A whole sentence stands here.", "3.5", "", "```"])
    | st.text(max_size=20),
    max_size=60,
)


@settings(max_examples=60)
@given(pieces)
def test_chunks_are_bounded_unique_and_repeatable(lines: list[str]) -> None:
    document = page("\n".join(lines))
    chunks = chunk(document)
    assert chunks == chunk(document)
    assert len({item.chunk_id for item in chunks}) == len(chunks)
    for item in chunks:
        assert MIN_WORDS <= len(item.text.split()) <= MAX_WORDS
