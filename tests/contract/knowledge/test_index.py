"""What sync and search promise, held against the in-memory and the PostgreSQL repository."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback.clock import FixedClock
from feedback.domain.knowledge import Document, SyncCounts
from feedback.errors import ConfigurationError, InvalidInputError
from feedback.knowledge.repository import KnowledgeRepository, Scope
from feedback.knowledge.search import KnowledgeSearch
from feedback.knowledge.sync import KnowledgeSync
from feedback.ports import Vectors
from feedback.testing import HashingEmbedder

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

REFUND = Document(
    doc_id="refunds",
    title="Refunds",
    text="# Refunds\n\nA refund reaches your card within nine working days.\n\n"
    "## Who may ask\n\nOnly the owner of the account may ask for a refund.",
    uri="https://help.example/refunds",
)
SEATS = Document(
    doc_id="seats", title="Seats", text="The team plan has twelve seats and costs forty euros."
)
LOGIN = Document(
    doc_id="login", title="Login codes", text="A login code is valid for five minutes after mail."
)
ALL = (REFUND, SEATS, LOGIN)


class OtherEmbedder(HashingEmbedder):
    @property
    def id(self) -> str:
        return "other/1"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        reversed_axes: Vectors = (await super().embed(texts))[:, ::-1]
        return reversed_axes


async def sync(
    repository: KnowledgeRepository,
    documents: Sequence[Document],
    embedder: HashingEmbedder | None = None,
    *,
    reembed: bool = False,
) -> SyncCounts:
    syncer = KnowledgeSync(repository, embedder or HashingEmbedder(), clock=FixedClock(NOW))
    return await syncer.sync(documents, reembed=reembed)


def searcher(repository: KnowledgeRepository, at: datetime = NOW) -> KnowledgeSearch:
    return KnowledgeSearch(repository, HashingEmbedder(), clock=FixedClock(at))


async def test_first_sync_adds_everything(repository: KnowledgeRepository) -> None:
    counts = await sync(repository, ALL)
    assert counts == SyncCounts(added=3, embedded_chunks=4)
    state = await repository.state()
    assert state is not None
    assert state.chunks == 4
    assert state.embedder_id == HashingEmbedder().id


async def test_search_before_the_first_sync_finds_nothing(
    repository: KnowledgeRepository,
) -> None:
    result = await searcher(repository).search("refund", 3)
    assert result.hits == ()
    assert not result.answerable


async def test_finds_the_passage_with_its_place(repository: KnowledgeRepository) -> None:
    await sync(repository, ALL)
    result = await searcher(repository).search("Who may ask for a refund of the account?", 2)
    best = result.hits[0]
    assert (best.doc_id, best.heading, best.uri) == ("refunds", "Who may ask", REFUND.uri)
    assert best.text == "Only the owner of the account may ask for a refund."
    assert len(result.hits) == 2
    assert result.hits[0].score >= result.hits[1].score


async def test_an_unchanged_corpus_embeds_nothing(repository: KnowledgeRepository) -> None:
    await sync(repository, ALL)
    embedder = HashingEmbedder()
    assert await sync(repository, ALL, embedder) == SyncCounts(unchanged=3)
    assert embedder.embedded == 0


async def test_a_change_embeds_only_the_changed_passage(repository: KnowledgeRepository) -> None:
    await sync(repository, ALL)
    text = REFUND.text.replace("nine working", "four working")
    embedder = HashingEmbedder()
    counts = await sync(repository, (replace(REFUND, text=text), SEATS, LOGIN), embedder)
    assert counts == SyncCounts(changed=1, unchanged=2, embedded_chunks=1)
    assert embedder.embedded == 1
    result = await searcher(repository).search("When does the refund reach the card?", 5)
    assert "four working" in result.hits[0].text
    assert not any("nine working" in hit.text for hit in result.hits)


async def test_a_moved_passage_keeps_its_id_and_vector(repository: KnowledgeRepository) -> None:
    await sync(repository, (REFUND,))
    before = {item.chunk.heading: item.chunk for item in await repository.live_chunks()}
    text = "# Refunds\n\n## At first\n\nRead this page to its very end.\n\n"
    text += "## Who may ask\n\nOnly the owner of the account may ask for a refund."
    counts = await sync(repository, (replace(REFUND, text=text),))
    assert counts.embedded_chunks == 1
    after = {item.chunk.heading: item.chunk for item in await repository.live_chunks()}
    assert after["Who may ask"].chunk_id == before["Who may ask"].chunk_id
    assert [after["At first"].position, after["Who may ask"].position] == [0, 1]


async def test_a_removed_document_leaves_results_and_stays_citable(
    repository: KnowledgeRepository,
) -> None:
    await sync(repository, ALL)
    cited = (await searcher(repository).search("login code valid minutes", 1)).hits[0].chunk_id
    assert await sync(repository, (REFUND, SEATS)) == SyncCounts(removed=1, unchanged=2)
    result = await searcher(repository).search("login code valid minutes", 5)
    assert "login" not in {hit.doc_id for hit in result.hits}
    assert (await repository.find([cited]))[cited].chunk.text == LOGIN.text
    assert await repository.chunk_frequencies(["login"]) == {}


async def test_a_document_that_returns_is_not_embedded_again(
    repository: KnowledgeRepository,
) -> None:
    await sync(repository, ALL)
    await sync(repository, (REFUND, SEATS))
    assert await sync(repository, ALL) == SyncCounts(added=1, unchanged=2)
    result = await searcher(repository).search("login code valid minutes", 1)
    assert result.hits[0].doc_id == "login"


async def test_unreadable_documents_are_kept(repository: KnowledgeRepository) -> None:
    await sync(repository, ALL)
    syncer = KnowledgeSync(repository, HashingEmbedder(), clock=FixedClock(NOW))
    counts = await syncer.sync((REFUND, SEATS), keep=("login",))
    assert counts == SyncCounts(unchanged=2)
    assert set(await repository.live_documents()) == {"refunds", "seats", "login"}


async def test_two_spaces_are_never_mixed(repository: KnowledgeRepository) -> None:
    await sync(repository, ALL)
    with pytest.raises(ConfigurationError, match="--reembed"):
        await sync(repository, ALL, OtherEmbedder())
    with pytest.raises(ConfigurationError, match="hashing-384/1"):
        await KnowledgeSearch(repository, OtherEmbedder()).search("refund", 1)
    counts = await sync(repository, ALL, OtherEmbedder(), reembed=True)
    assert counts == SyncCounts(unchanged=3, embedded_chunks=4)
    result = await KnowledgeSearch(repository, OtherEmbedder()).search("refund card", 1)
    assert result.hits[0].doc_id == "refunds"


async def test_audience_and_expiry_hold_for_both_legs(repository: KnowledgeRepository) -> None:
    inside = replace(SEATS, doc_id="inside", audience="staff", text="Staff seats cost ten euros.")
    brief = replace(
        SEATS, doc_id="brief", text="Seats cost one euro.", expires_at=NOW + timedelta(days=1)
    )
    await sync(repository, (SEATS, inside, brief))

    async def seen(at: datetime, audience: str | None) -> set[str]:
        result = await searcher(repository, at).search("seats cost euros", 9, audience=audience)
        return {hit.doc_id for hit in result.hits}

    assert await seen(NOW, None) == {"seats", "brief"}
    assert await seen(NOW, "staff") == {"seats", "brief", "inside"}
    assert await seen(NOW + timedelta(days=1), None) == {"seats"}


async def test_scores_after_many_syncs_equal_a_fresh_index(
    repository: KnowledgeRepository,
) -> None:
    long = Document(
        doc_id="long",
        title="Archive",
        text=" ".join(f"Paper number {n} lies in drawer {n % 7}." for n in range(90)),
    )
    await sync(repository, (SEATS,))
    await sync(repository, (SEATS, LOGIN))
    await sync(repository, (*ALL, long))
    weights = {"refund": 1.5, "seat": 2.0, "drawer": 0.5}
    everything, scope = len(await repository.live_chunks()), Scope(at=NOW)
    vector = (await HashingEmbedder().embed(["refund of a seat in a drawer"]))[0]
    grown = await repository.candidates(weights, vector, everything, scope)
    await sync(repository, (LOGIN,))
    await sync(repository, (*ALL, long))
    again = await repository.candidates(weights, vector, everything, scope)
    assert grown.keys() == again.keys()
    for name, (lexical, cosine) in grown.items():
        assert again[name] == pytest.approx((lexical, cosine), rel=1e-5)


async def test_twin_ids_are_refused(repository: KnowledgeRepository) -> None:
    with pytest.raises(InvalidInputError, match="'seats' occurs more than once"):
        await sync(repository, (SEATS, replace(LOGIN, doc_id="seats")))


async def test_a_question_without_terms_still_gets_an_answer_to_whether(
    repository: KnowledgeRepository,
) -> None:
    await sync(repository, ALL)
    assert not (await searcher(repository).search("   ", 3)).answerable
    assert not (await searcher(repository).search("what is it?", 3)).answerable


async def test_an_empty_corpus_is_an_empty_index(repository: KnowledgeRepository) -> None:
    await sync(repository, ALL)
    assert (await sync(repository, ())).removed == 3
    assert (await searcher(repository).search("refund", 3)).hits == ()
