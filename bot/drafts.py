"""An answer in the making, and who watches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.routing import Turn
from feedback.domain.knowledge import Hit, SearchResult


@dataclass(frozen=True, kw_only=True)
class Source:
    """A document shown under an answer."""

    title: str
    uri: str


class Audience(Protocol):
    """Somebody who watches an answer being made."""

    async def found(self, sources: Sequence[Source]) -> None:
        """The documents were searched; these come near."""
        ...

    async def restart(self) -> None:
        """Another model begins the answer anew."""
        ...

    async def write(self, piece: str) -> None:
        """The next piece of text."""
        ...


@dataclass(kw_only=True)
class Draft:
    """An answer in the making: what there is of it when it is stopped.

    Attributes:
        turn: Who answers, once that is known.
        found: What retrieval said, once that is known.
        text: Written so far.
    """

    turn: Turn | None = None
    found: SearchResult | None = None
    text: str = ""


NEAR_THE_BEST = 0.5
"""Part of the best hit's score from which a document is named: what trails far behind stood in no
answer, and a long list of sources makes people stop looking at any."""


class Scored(Protocol):
    """A passage that was found, now or when the answer was stored."""

    @property
    def doc_id(self) -> str:
        """Its document."""
        ...

    @property
    def score(self) -> float:
        """How near it is, 0..1."""
        ...


def documents_of(hits: Sequence[Scored], limit: int = 3) -> list[str]:
    """Returns the distinct documents to name for these hits, best first."""
    least = NEAR_THE_BEST * max((hit.score for hit in hits), default=0.0)
    return list(dict.fromkeys(hit.doc_id for hit in hits if hit.score >= least))[:limit]


def sources_of(hits: Sequence[Hit]) -> tuple[Source, ...]:
    """Returns the documents to show under an answer, best first."""
    seen: Mapping[str, Hit] = {hit.doc_id: hit for hit in reversed(hits)}
    return tuple(Source(title=seen[doc].title, uri=seen[doc].uri) for doc in documents_of(hits))
