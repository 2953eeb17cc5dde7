"""Looks passages up in the stored knowledge, at question time."""

from bot.model_clients import ModelClients
from feedback.domain.knowledge import SearchResult
from feedback.knowledge.search import KnowledgeSearch
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.unit_of_work import Store


class StoredKnowledge:
    """Searches the index with the embedder of the server that answers.

    Args:
        embed_url: Overrides the answering server's URL when it is not empty.
    """

    def __init__(self, store: Store, clients: ModelClients, *, embed_url: str = "") -> None:
        self._store = store
        self._clients = clients
        self._embed_url = embed_url

    async def search(self, question: str, *, k: int, model_url: str) -> SearchResult:
        """Returns the best passages and whether they answer the question.

        Raises:
            ConfigurationError: When the index was made by another embedder.
            UnavailableError: When the embedder or the database cannot be reached.
        """
        embedder = self._clients.embedder(self._embed_url or model_url)
        await embedder.connect()
        async with self._store.begin() as tx:
            search = KnowledgeSearch(SqlKnowledgeRepository(tx.connection), embedder)
            return await search.search(question, k)
