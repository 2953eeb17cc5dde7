"""Connections to model servers, one per server: publishing moves the bot from one to another."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from feedback.ports import TextGenerator
from feedback.serving.breaker import CircuitBreaker
from feedback.serving.embed import HttpEmbedder
from feedback.serving.tgi import TgiTextGenerator

K = TypeVar("K")
V = TypeVar("V", TgiTextGenerator, HttpEmbedder)

NO_KEY = "-"
"""What settings say when a server wants no key."""

_Server = tuple[str, frozenset[str], str]

_KEPT = 8
"""More than blue and green of a few publishes: what falls out is long idle."""


class ModelClients:
    """Generators and embedders by server, made at first use.

    Args:
        api_key: The text server's API key.
        embed_api_key: API key of an embedding server that is not the text server.
        embed_url: That server; empty: embeddings come from the text server.
    """

    def __init__(self, *, api_key: str, embed_api_key: str = "", embed_url: str = "") -> None:
        self._api_key = api_key
        self._embed_api_key = embed_api_key
        self._embed_url = embed_url
        self._generators: OrderedDict[_Server, TgiTextGenerator] = OrderedDict()
        self._embedders: OrderedDict[str, HttpEmbedder] = OrderedDict()
        self._breakers: dict[tuple[type, str], CircuitBreaker] = {}
        self._idle: list[TgiTextGenerator | HttpEmbedder] = []

    def at(self, url: str, served: frozenset[str], base_name: str) -> TextGenerator:
        """Returns the generator of a server that serves these adapters, and its base by a name."""
        return self._of(
            self._generators,
            (url, served, base_name),
            lambda: TgiTextGenerator(
                url,
                adapters=served,
                base_name=base_name,
                token=self._api_key,
                breaker=self._breaker(TgiTextGenerator, url),
            ),
        )

    def embedder(self, url: str) -> HttpEmbedder:
        """Returns the embedder of the server at `url`, or of the one that only embeds.

        A key goes to nobody but the server it belongs to.
        """
        key = self._embed_api_key if self._embed_url else self._api_key
        where = self._embed_url or url
        token = None if key in {"", NO_KEY} else key
        return self._of(
            self._embedders,
            where,
            lambda: HttpEmbedder(where, token=token, breaker=self._breaker(HttpEmbedder, where)),
        )

    def _breaker(self, kind: type, url: str) -> CircuitBreaker:
        """A server may write answers and fail at embedding: one breaker for each."""
        return self._breakers.setdefault((kind, url), CircuitBreaker(url))

    def _of(self, cache: OrderedDict[K, V], key: K, make: Callable[[], V]) -> V:
        if key not in cache:
            cache[key] = make()
            if len(cache) > _KEPT:
                self._idle.append(cache.popitem(last=False)[1])
        cache.move_to_end(key)
        return cache[key]

    async def aclose(self) -> None:
        """Closes every connection."""
        for client in (*self._generators.values(), *self._embedders.values(), *self._idle):
            await client.aclose()
