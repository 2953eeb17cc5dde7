"""What the inner rings ask of the outside world, as Protocols.

The composition roots in `deploy` choose the implementations and mypy proves that they fit.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Embeddings, shape (texts, dimensions), L2-normalised rows."""


class Embedder(Protocol):
    """Turns texts into vectors of one space."""

    @property
    def id(self) -> str:
        """Names the space (weights, precision, pooling); vectors of two ids are never compared."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), dimensions).

        Raises:
            UnavailableError: When the embedding service cannot be reached.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a conversation as the model sees it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to decode. Temperature 0 is greedy.

    Attributes:
        timeout_s: Deadline of the whole answer in seconds.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    timeout_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A finished answer and what it cost."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    model: str
    endpoint: str


class TextGenerator(Protocol):
    """Generates chat answers with a named adapter, or with the base model (adapter None)."""

    async def chat(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> Generation:
        """Returns the finished answer.

        Raises:
            RetryableError: Overloaded, unavailable, timed out, failed generation, broken stream.
            PermanentError: The request itself is wrong.
            ConfigurationError: Credential, template or adapter problem.
        """
        ...

    def stream(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> AsyncGenerator[str | Generation, None]:
        """Yields text deltas and, last, the finished Generation; raises as `chat` does."""
        ...
