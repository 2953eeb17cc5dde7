"""An embedder and a base model that follow the active deployment: it moves at every publish."""

from collections.abc import Awaitable, Callable, Sequence

from feedback.errors import ConfigurationError, UnavailableError
from feedback.ports import Generation, GenerationOptions, Message, Vectors
from feedback.serving.embed import HttpEmbedder
from feedback.serving.tgi import TgiTextGenerator


class DeployedEmbedder:
    """Implements feedback.ports.Embedder on whatever URL is current.

    All deployments must embed into one space; a server of another one is refused.

    Args:
        locate: Returns the current base URL, None while nothing is deployed.
    """

    def __init__(self, locate: Callable[[], Awaitable[str | None]]) -> None:
        self._locate = locate
        self._current: tuple[str, HttpEmbedder] | None = None
        self._id: str | None = None

    @property
    def id(self) -> str:
        """Names the space.

        Raises:
            ConfigurationError: Before `connect` or the first `embed`.
        """
        if self._id is None:
            raise ConfigurationError("no embedder has been reached yet; await connect() first")
        return self._id

    async def connect(self) -> str:
        """Reads the id of the space from the current server, and returns it.

        Raises:
            UnavailableError: When nothing is deployed or it cannot be reached.
            ConfigurationError: When the server embeds into another space than the one before.
        """
        await self._embedder()
        return self.id

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), dimensions).

        Raises:
            UnavailableError: When nothing is deployed or it cannot be reached.
        """
        return await (await self._embedder()).embed(texts)

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._current is not None:
            await self._current[1].aclose()
            self._current = None

    async def _embedder(self) -> HttpEmbedder:
        url = await self._locate()
        if url is None:
            raise UnavailableError("no model server is deployed yet", retry_after=1.0)
        if self._current is None or self._current[0] != url:
            await self.aclose()
            self._current = (url, HttpEmbedder(url))
        embedder = self._current[1]
        found = await embedder.connect()
        if self._id is not None and found != self._id:
            raise ConfigurationError(
                f"{url} embeds with {found}, the index and everything before with {self._id}; "
                "serve the same embedder, or re-index with `understudy knowledge sync --reembed`"
            )
        self._id = found
        return embedder


class DeployedModel:
    """The base model of whatever server is current, for short questions of our own.

    Args:
        locate: Returns the current server's URL and what it calls its base; None while there is
            none.
        token: The server's API key.
    """

    def __init__(
        self, locate: Callable[[], Awaitable[tuple[str, str] | None]], *, token: str | None = None
    ) -> None:
        self._locate = locate
        self._token = token

    async def chat(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> Generation:
        """Returns the finished answer.

        Raises:
            UnavailableError: When nothing is deployed or it cannot be reached.
        """
        where = await self._locate()
        if where is None:
            raise UnavailableError("no model server is deployed yet")
        url, base_name = where
        generator = TgiTextGenerator(url, base_name=base_name, token=self._token)
        try:
            return await generator.chat(messages, adapter=adapter, options=options)
        finally:
            await generator.aclose()
