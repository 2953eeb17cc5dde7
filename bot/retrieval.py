"""Looks passages up in the stored knowledge, at question time."""

from bot.model_clients import ModelClients
from feedback.clock import Clock
from feedback.domain.knowledge import SearchResult
from feedback.knowledge.search import KnowledgeSearch
from feedback.store.knowledge import SqlKnowledgeRepository
from feedback.store.unit_of_work import Store


class StoredKnowledge:
    """Searches the index with the embedder of the server that answers.

    Args:
        clock: Documents expire by it.
    """

    def __init__(self, store: Store, clients: ModelClients, clock: Clock) -> None:
        self._store = store
        self._clients = clients
        self._clock = clock

    async def search(self, question: str, *, k: int, model_url: str) -> SearchResult:
        """Returns the best passages and whether they answer the question.

        Raises:
            ConfigurationError: When the index was made by another embedder.
            UnavailableError: When the embedder or the database cannot be reached.
        """
        embedder = self._clients.embedder(model_url)
        await embedder.connect()
        async with self._store.single() as tx:
            repository = SqlKnowledgeRepository(tx.connection)
            search = KnowledgeSearch(repository, embedder, clock=self._clock)
            return await search.search(question, k)
