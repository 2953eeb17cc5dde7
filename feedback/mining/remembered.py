"""Texts that a run compares, and an embedder that knows those of the runs before."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np

from feedback.domain.interaction import InteractionRecord
from feedback.knowledge.repository import Vector
from feedback.ports import Embedder, Vectors


class Part(StrEnum):
    """Which text of an interaction."""

    QUESTION = "question"
    ANSWER = "answer"
    CORRECTION = "correction"


TextKey = tuple[str, Part]
"""Interaction id, and which of its texts."""


def texts_of(records: Sequence[InteractionRecord], *, answers: bool = False) -> dict[TextKey, str]:
    """Returns every question and the corrections of the failed rows.

    Args:
        records: The rows.
        answers: Whether answers are needed too: a learnt tone scorer looks at them.
    """
    texts: dict[TextKey, str] = {}
    for record in records:
        texts[record.id, Part.QUESTION] = record.question
        correction = (record.correction or "").strip()
        if correction and record.failed:
            texts[record.id, Part.CORRECTION] = correction
        if answers and record.answer:
            texts[record.id, Part.ANSWER] = record.answer
    return texts


class RememberingEmbedder:
    """Implements feedback.ports.Embedder: each text is embedded once.

    Args:
        embedder: Asked for what is not known.
        known: Vectors by text, of the embedder's space.
    """

    def __init__(self, embedder: Embedder, known: Mapping[str, Vector]) -> None:
        self._embedder = embedder
        self._known = dict(known)

    @property
    def id(self) -> str:
        """Names the space."""
        return self._embedder.id

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns L2-normalised vectors, shape (len(texts), dimensions).

        Raises:
            UnavailableError: When the embedder is needed and cannot be reached.
        """
        if not texts:
            return await self._embedder.embed(texts)
        new = [said for said in dict.fromkeys(texts) if said not in self._known]
        if new:
            self._known.update(zip(new, await self._embedder.embed(new), strict=True))
        return np.stack([self._known[said] for said in texts])
