"""Embeddings over HTTP from any server with text-embeddings-inference's `/embed` route."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext

import httpx
import numpy as np

from feedback.errors import (
    ConfigurationError,
    OverloadedError,
    PermanentError,
    RetryableError,
    TimedOutError,
    UnavailableError,
    UnderstudyError,
)
from feedback.ports import Vectors
from feedback.serving.breaker import CircuitBreaker
from feedback.serving.failures import from_response

BATCH = 32
"""Texts a request; text-embeddings-inference refuses more than 32 by default."""


class HttpEmbedder:
    """Implements feedback.ports.Embedder.

    The id of the vector space is read from `/info` by `connect` (or given): vectors of two ids are
    never compared, so nothing is embedded before the id is known.

    Args:
        base_url: Root of the server.
        embedder_id: The space's name, for servers whose `/info` does not tell.
        token: Bearer to send.
        timeout_s: Deadline of one request.
        breaker: Of this server, shared by everybody who asks it; None always asks.
    """

    def __init__(
        self,
        base_url: str,
        *,
        embedder_id: str | None = None,
        token: str | None = None,
        timeout_s: float = 30.0,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._id = embedder_id
        self._timeout_s = timeout_s
        self._breaker = breaker
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(
            base_url=self._base_url, headers=headers, timeout=timeout_s, trust_env=False
        )

    @property
    def id(self) -> str:
        """Names the space.

        Raises:
            ConfigurationError: Before `connect` or the first `embed`, unless the id was given.
        """
        if self._id is None:
            raise ConfigurationError(
                f"the embedder at {self._base_url} has not been asked for its id yet; await "
                "connect() first"
            )
        return self._id

    async def connect(self) -> str:
        """Reads the id from `/info` once, and returns it.

        Raises:
            ConfigurationError: The server names no embedder.
            RetryableError: The server cannot be reached.
        """
        if self._id is None:
            async with self._mapped():
                response = await self._client.get("/info")
                self._raise_for(response)
                info = response.json()
                found = info.get("embedder_id") or (
                    # text-embeddings-inference: model, revision and precision name the space.
                    f"{info['model_id']}@{info.get('model_sha')}/{info.get('model_dtype')}"
                    if "model_type" in info
                    else None
                )
            if not found:
                raise ConfigurationError(
                    f"{self._base_url}/info names no embedder; start the model server with "
                    "--embedder or set the embedding URL to a server with /embed"
                )
            self._id = str(found)
        return self._id

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), dimensions).

        Raises:
            UnavailableError: The service cannot be reached.
            RetryableError: It is overloaded, slow or failing.
            PermanentError: It refused the request or sent something else than vectors.
        """
        await self.connect()
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        batches = [
            await self._batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)
        ]
        return np.concatenate(batches)

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        async with self._mapped():
            response = await self._client.post(
                "/embed", json={"inputs": list(texts), "normalize": True, "truncate": True}
            )
            self._raise_for(response)
            vectors: Vectors = np.asarray(response.json(), dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[0] != len(texts):
            raise PermanentError(
                f"{self._base_url}/embed sent shape {vectors.shape} for {len(texts)} texts"
            )
        return vectors

    def _raise_for(self, response: httpx.Response) -> None:
        if response.status_code == 200:
            return
        kind = response.headers.get("content-type", "")
        error = from_response(response.status_code, kind, response.text, self._base_url)
        if isinstance(error, RetryableError) and not isinstance(error, OverloadedError):
            raise UnavailableError(str(error))
        raise error

    @asynccontextmanager
    async def _mapped(self) -> AsyncIterator[None]:
        guard = nullcontext() if self._breaker is None else self._breaker.guarding()
        async with guard, self._foreign():
            yield

    @asynccontextmanager
    async def _foreign(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except UnderstudyError:
            raise
        except (TimeoutError, httpx.TimeoutException) as exc:
            raise TimedOutError(f"embedding at {self._base_url} passed its deadline") from exc
        except (httpx.HTTPError, OSError) as exc:
            raise UnavailableError(f"cannot reach {self._base_url}: {exc or repr(exc)}") from exc
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise PermanentError(
                f"{self._base_url} sent something else than vectors: {exc!r}"
            ) from exc
