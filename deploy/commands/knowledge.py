"""`understudy knowledge`: keep the index at the documents, and ask it."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from deploy.wiring import make_clock, open_store
from feedback.domain.knowledge import SearchResult, SyncCounts
from feedback.errors import InvalidInputError
from feedback.jsonl import dump, open_jsonl
from feedback.knowledge.documents import LoadedDocuments, load_documents
from feedback.knowledge.search import KnowledgeSearch
from feedback.knowledge.sync import KnowledgeSync
from feedback.settings import Settings, load_settings
from feedback.store.knowledge import SqlKnowledgeRepository, tidy

app = typer.Typer(help="The documents answers come from.", no_args_is_help=True)

_Question = tuple[str, str]


@app.command("sync")
def sync(
    path: Annotated[
        str, typer.Argument(help="Folder of md, html, pdf, txt files, or JSONL; - for stdin.")
    ],
    reembed: Annotated[
        bool, typer.Option(help="Embed everything anew after a change of the embedder.")
    ] = False,
) -> None:
    """Make the index hold exactly the documents at PATH; prints what changed as JSON."""
    loaded = load_documents(path)
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    counts = asyncio.run(_sync(load_settings(), loaded, reembed=reembed))
    print(json.dumps({**asdict(counts), "unreadable": len(loaded.problems)}))


async def _sync(settings: Settings, loaded: LoadedDocuments, *, reembed: bool) -> SyncCounts:
    from deploy.offline import offline_embedder  # noqa: PLC0415  (torch: only when it is needed)

    async with open_store(settings) as store:
        async with store.begin() as transaction:
            counts = await KnowledgeSync(
                SqlKnowledgeRepository(transaction.connection),
                offline_embedder(),
                clock=make_clock(settings),
            ).sync(loaded.documents, keep=loaded.unreadable, reembed=reembed)
        if counts.added or counts.changed or counts.removed:
            await tidy(store.engine)
    return counts


@app.command("search")
def search(
    queries: Annotated[
        str, typer.Option("--queries", "-q", help="JSONL of {id, question}; - for stdin.")
    ],
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="Hits per question.")] = 5,
) -> None:
    """Print, per question, the best passages and whether they answer it."""
    source = open_jsonl(queries)
    questions = list(source.rows(_question))
    source.report()
    source.require_rows()
    asyncio.run(_search(load_settings(), questions, k))


def _question(row: Mapping[str, Any]) -> _Question:
    question = row["question"]
    if not isinstance(question, str) or not question.strip():
        raise InvalidInputError("'question' must be text and not empty")
    return str(row["id"]), question


async def _search(settings: Settings, questions: list[_Question], k: int) -> None:
    from deploy.offline import offline_embedder  # noqa: PLC0415  (torch: only when it is needed)

    async with open_store(settings) as store, store.begin() as transaction:
        index = KnowledgeSearch(
            SqlKnowledgeRepository(transaction.connection),
            offline_embedder(),
            clock=make_clock(settings),
        )
        for name, question in questions:
            print(dump(_row(name, await index.search(question, k))))


def _row(name: str, result: SearchResult) -> dict[str, Any]:
    return {
        "id": name,
        "hits": [
            {
                "doc_id": hit.doc_id,
                "chunk_id": hit.chunk_id,
                "score": round(hit.score, 4),
                "title": hit.title,
            }
            for hit in result.hits
        ],
        "answerable": result.answerable,
    }
