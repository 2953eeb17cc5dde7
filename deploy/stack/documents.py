"""Keeps the index at a folder of documents, for the stack and the demo."""

from feedback.clock import Clock
from feedback.knowledge.documents import load_documents
from feedback.knowledge.sync import KnowledgeSync
from feedback.serving.embed import HttpEmbedder
from feedback.store.knowledge import SqlKnowledgeRepository, tidy
from feedback.store.unit_of_work import Store


async def sync_documents(store: Store, embedder: HttpEmbedder, clock: Clock, source: str) -> int:
    """Makes the index hold exactly the documents at `source`.

    Returns:
        How many chunks had to be embedded.

    Raises:
        InvalidInputError: When nothing readable is there.
    """
    loaded = load_documents(source)
    await embedder.connect()
    async with store.begin() as tx:
        sync = KnowledgeSync(SqlKnowledgeRepository(tx.connection), embedder, clock=clock)
        counts = await sync.sync(loaded.documents, keep=loaded.unreadable)
    if counts.added or counts.changed or counts.removed:
        await tidy(store.engine)
    return counts.embedded_chunks
