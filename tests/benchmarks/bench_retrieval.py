"""How well and how fast the documents are searched; prints one JSON object.

`python -m tests.benchmarks.bench_retrieval [KNOWLEDGE_DIR] [--quick] [--tune]`

- `fulltext`, `vector`, `hybrid`: FeedbackQA's questions against its 1,408 documents, scored by
  document; hybrid is what `understudy knowledge search` does. Documents are halved by a hash of
  their id: the fusion weight was chosen on the questions of one half (`--tune` prints that table),
  the figures are of the other.
- `answerable`: share of those questions called answerable, and of bank customers' questions and
  greetings (which the documents do not answer).
- `latency_ms`: one search in PostgreSQL, the embedding of the question left out (`embed_ms` is its
  median), by number of chunks; beyond the real ones they are jittered copies.
- `sync_s`: first sync, embedding included; `resync_embedded_chunks`: embedded by a second one.

The database is a real embedded PostgreSQL in a temporary folder.
"""

import argparse
import asyncio
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deploy.offline import offline_embedder
from feedback.domain.knowledge import Document
from feedback.knowledge.bm25 import Bm25Policy, impacts, term_counts
from feedback.knowledge.documents import load_documents
from feedback.knowledge.fusion import fuse
from feedback.knowledge.questions import essence
from feedback.knowledge.repository import IndexState, IndexUpdate, NewChunk, Scope
from feedback.knowledge.search import KnowledgeSearch, SearchPolicy
from feedback.knowledge.sync import KnowledgeSync
from feedback.ports import Embedder, Vectors
from feedback.store.embedded import EmbeddedPostgres
from feedback.store.knowledge import SqlKnowledgeRepository, tidy
from feedback.store.migrate import upgrade
from feedback.store.unit_of_work import Store

_DATA = Path("../shared/data/knowledge")
_BANK = "../queries/banking77_train.jsonl"
_KEYS = [
    "fulltext",
    "vector",
    "hybrid",
    "latency_ms",
    "sync_s",
    "resync_embedded_chunks",
]
_SIZES = (1_400, 10_000, 100_000)
_GREETINGS = ("hi", "hello there!", "good morning", "thanks a lot", "bye", "how are you?")
Ranking = list[str]
Row = Mapping[str, Any]


def read(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def for_tuning(doc_id: str) -> bool:
    """Whether constants may be chosen on the questions about this document."""
    return hashlib.sha256(doc_id.encode()).digest()[0] % 2 == 0


class Remembering:
    """Embeds every text once; `seconds` is what the embedding took."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._known: dict[str, Any] = {}
        self.seconds: list[float] = []

    @property
    def id(self) -> str:
        """The inner embedder's space."""
        return self._inner.id

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors, computed at most once a text."""
        new = [item for item in dict.fromkeys(texts) if item not in self._known]
        if new:
            start = time.perf_counter()
            self._known |= dict(zip(new, await self._inner.embed(new), strict=True))
            self.seconds.append(time.perf_counter() - start)
        return np.stack([self._known[item] for item in texts])


def score(rankings: Sequence[Ranking], gold: Sequence[str]) -> dict[str, float]:
    """Returns hit@1, hit@5, MRR and nDCG@10 of one right document per question."""
    ranks = [
        ranking.index(right) + 1 if right in ranking else None
        for ranking, right in zip(rankings, gold, strict=True)
    ]

    def mean(value: Callable[[int], float]) -> float:
        return round(sum(value(rank) for rank in ranks if rank) / len(ranks), 4)

    return {
        "hit1": mean(lambda rank: rank == 1),
        "hit5": mean(lambda rank: rank <= 5),
        "mrr": mean(lambda rank: 1 / rank),
        "ndcg10": mean(lambda rank: 1 / math.log2(rank + 1) if rank <= 10 else 0.0),
    }


class Bench:
    """One opened index and the questions asked of it."""

    def __init__(self, repository: SqlKnowledgeRepository, embedder: Remembering) -> None:
        self.repository = repository
        self.embedder = embedder

    async def sync(self, documents: Sequence[Document]) -> dict[str, Any]:
        """Syncs twice; the second one must embed nothing."""
        start = time.perf_counter()
        await KnowledgeSync(self.repository, self.embedder).sync(documents)
        seconds = time.perf_counter() - start
        again = await KnowledgeSync(self.repository, self.embedder).sync(documents)
        return {
            "sync_s": round(seconds, 2),
            "resync_embedded_chunks": again.embedded_chunks,
        }

    async def rankings(
        self, questions: Sequence[str], shares: Sequence[float]
    ) -> dict[float, list[Ranking]]:
        """Returns documents, best first, by weight of the vector leg (0: BM25, 1: vectors)."""
        owner = {c.chunk.chunk_id: c.chunk.doc_id for c in await self.repository.live_chunks()}
        state = await self.repository.state()
        assert state is not None
        search = KnowledgeSearch(self.repository, self.embedder)
        ranked: dict[float, list[Ranking]] = {share: [] for share in shares}
        for question in questions:
            asked = essence(question)
            weights = await search.weights(asked, state)
            vector = (await self.embedder.embed([asked]))[0]
            scope = Scope(at=datetime.now(UTC))
            scored = await self.repository.candidates(weights, vector, 100, scope)
            lexical = {chunk: pair[0] for chunk, pair in scored.items()}
            cosine = {chunk: pair[1] for chunk, pair in scored.items()}
            for share in shares:
                fused = fuse(lexical, cosine, vector_share=share)
                order = sorted(fused, key=lambda chunk: (-fused[chunk], chunk))
                ranked[share].append(list(dict.fromkeys(owner[chunk] for chunk in order)))
        return ranked

    async def answerable(self, questions: Sequence[str]) -> float:
        """Returns the share of the questions that the documents are said to answer."""
        search = KnowledgeSearch(self.repository, self.embedder)
        said = [(await search.search(question, 1)).answerable for question in questions]
        return round(sum(said) / len(said), 4)

    async def latency(self, questions: Sequence[str]) -> dict[str, float]:
        """Times whole searches; the questions' vectors are there already."""
        await self.embedder.embed([essence(question) for question in questions])
        search = KnowledgeSearch(self.repository, self.embedder)
        times = []
        for question in questions:
            start = time.perf_counter()
            await search.search(question, 5)
            times.append((time.perf_counter() - start) * 1000)
        return {
            "p50": round(float(np.percentile(times, 50)), 1),
            "p99": round(float(np.percentile(times, 99)), 1),
        }

    async def grow(self, size: int) -> None:
        """Adds jittered copies of the real chunks until there are `size`."""
        state = await self.repository.state()
        assert state is not None
        real = list(await self.repository.live_chunks())
        while (count := (await self.repository.total_length())[0]) < size:
            chosen = [real[n % len(real)].chunk for n in range(count, min(size, count + 20_000))]
            await self._add(chosen, count, state)

    async def _add(self, chosen: Sequence[Any], first: int, state: IndexState) -> None:
        random = np.random.default_rng(first)
        vectors = await self.repository.stored_vectors(
            list({item.content_hash for item in chosen}), state.embedder_id
        )
        policy, new = Bm25Policy(), []
        for number, item in enumerate(chosen, start=first):
            noisy = vectors[item.content_hash] + random.normal(0, 0.02, 384).astype(np.float32)
            counts = term_counts(item, policy)
            new.append(
                NewChunk(
                    chunk=replace(item, chunk_id=f"copy-{number}", content_hash=f"copy-{number}"),
                    vector=noisy / np.linalg.norm(noisy),
                    impacts=impacts(counts, state.average_length, policy),
                    length=counts.total(),
                )
            )
        await self.repository.apply(IndexUpdate(chunks=new, state=state))


async def run(options: argparse.Namespace, url: str) -> dict[str, Any]:
    """Runs every part the options ask for."""
    documents = list(load_documents(str(options.data / "feedbackqa_documents.jsonl")).documents)
    if options.quick:
        documents = documents[::5]
    kept = {document.doc_id for document in documents}
    asked = [
        row
        for row in read(options.data / "feedbackqa_questions.jsonl")
        if row["gold_doc_id"] in kept and for_tuning(row["gold_doc_id"]) == options.tune
    ]
    store = Store.connect(url)
    embedder = Remembering(offline_embedder())
    async with store.begin() as transaction:
        report = await Bench(SqlKnowledgeRepository(transaction.connection), embedder).sync(
            documents
        )
    await tidy(store.engine)
    embedder.seconds.clear()
    async with store.begin() as transaction:
        bench = Bench(SqlKnowledgeRepository(transaction.connection), embedder)
        if options.tune:
            report |= await tuning(bench, asked)
        else:
            report |= await relevance(bench, asked, options.far)
    if not options.tune:
        sizes = _SIZES[: 1 if options.quick else options.sizes]
        questions = [row["question"] for row in asked[:200]]
        report["latency_ms"] = await latencies(store, embedder, questions, sizes)
    await store.close()
    return report


async def tuning(bench: Bench, asked: Sequence[Row]) -> dict[str, Any]:
    """Scores every weight of the vector leg."""
    questions = [row["question"] for row in asked]
    gold = [row["gold_doc_id"] for row in asked]
    ranked = await bench.rankings(questions, [tenth / 10 for tenth in range(11)])
    return {f"share {share}": score(ranking, gold) for share, ranking in ranked.items()}


async def relevance(bench: Bench, asked: Sequence[Row], far: Sequence[str]) -> dict[str, Any]:
    """Scores both legs, their fusion, and the judgement whether the documents answer."""
    questions = [row["question"] for row in asked]
    gold = [row["gold_doc_id"] for row in asked]
    legs = {"fulltext": 0.0, "vector": 1.0, "hybrid": SearchPolicy().vector_share}
    ranked = await bench.rankings(questions, list(legs.values()))
    report: dict[str, Any] = {name: score(ranked[share], gold) for name, share in legs.items()}
    report["embed_ms"] = round(float(np.median(bench.embedder.seconds)) * 1000, 1)
    report["questions"] = len(questions)
    report["answerable"] = {
        "inside": await bench.answerable(questions[:400]),
        "greetings": await bench.answerable(_GREETINGS),
    }
    if far:
        report["answerable"]["bank"] = await bench.answerable(far)
    return report


async def latencies(
    store: Store, embedder: Remembering, questions: Sequence[str], sizes: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Grows the index step by step and times searches in it."""
    measured = {}
    for size in sizes:
        async with store.begin() as transaction:
            await Bench(SqlKnowledgeRepository(transaction.connection), embedder).grow(size)
        await tidy(store.engine)
        async with store.begin() as transaction:
            bench = Bench(SqlKnowledgeRepository(transaction.connection), embedder)
            measured[str(size)] = await bench.latency(questions)
    return measured


def main() -> None:
    """Prints the report, or says what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", nargs="?", type=Path, default=_DATA)
    parser.add_argument("--quick", action="store_true", help="a fifth of the documents")
    parser.add_argument("--tune", action="store_true", help="choose the fusion weight on `train`")
    parser.add_argument("--sizes", type=int, default=3, choices=(1, 2, 3), help="index sizes timed")
    options = parser.parse_args()
    if not (options.data / "feedbackqa_documents.jsonl").exists():
        missing = f"{options.data} is not there: give the folder of feedbackqa_documents.jsonl"
        print(json.dumps(dict.fromkeys(_KEYS) | {"skipped": missing}))
        return
    bank = options.data / _BANK
    options.far = [row["text"] for row in read(bank)[::100]] if bank.exists() else []
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
    ):
        upgrade(server.url)
        report = asyncio.run(run(options, server.url))
    print(json.dumps(report if options.tune else dict.fromkeys(_KEYS) | report))


if __name__ == "__main__":
    main()
