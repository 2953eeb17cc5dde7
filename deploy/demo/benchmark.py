"""Held-out wordings with what retrieval finds for them: the questions of the before/after table.

None of them is ever asked in the demo, so none can be trained on. Each is rendered exactly as the
bot would render it, with the passages that the real index returns.
"""

from collections.abc import Sequence
from pathlib import Path

from feedback.jsonl import dump
from feedback.knowledge.search import KnowledgeSearch
from feedback.ports import Embedder
from feedback.prompting import PromptPolicy, build_messages
from feedback.samples import Company, Split
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.unit_of_work import Store
from retrain.dataset.rows import HeldOutRow, Source, TrainingRow


async def held_out_questions(
    store: Store,
    embedder: Embedder,
    company: Company,
    *,
    per_intent: int,
    retrieve: int,
    policy: PromptPolicy,
) -> list[HeldOutRow]:
    """Returns the held-out questions, rendered as the bot would.

    Args:
        store: Holds the index.
        embedder: The index's own.
        company: Whose questions.
        per_intent: Wordings of each intent.
        retrieve: Chunks looked up for a question, as the bot does.
        policy: The bot's prompt policy.
    """
    rows = []
    async with store.begin() as tx:
        search = KnowledgeSearch(SqlKnowledgeRepository(tx.connection), embedder)
        for intent in company.intents:
            for number, question in enumerate(intent.questions(Split.HELDOUT)[:per_intent]):
                found = await search.search(question, retrieve)
                rows.append(
                    HeldOutRow(
                        row=TrainingRow(
                            id=f"{intent.id}:{number}",
                            messages=tuple(build_messages(question, found.passages, policy=policy)),
                            completion=intent.gold_answer,
                            source=Source.CORRECTION,
                            interaction_ids=(),
                            group=intent.id,
                        ),
                        question=question,
                        bot_answer="",
                        facts=intent.keys,
                        sources=(company.document(intent.doc_id).text, *found.passages),
                    )
                )
    return rows


def write_benchmark(path: Path, rows: Sequence[HeldOutRow]) -> None:
    """Writes rows in the form of `holdout.jsonl`."""
    path.write_text("".join(dump(row.to_row()) + "\n" for row in rows), encoding="utf-8")
