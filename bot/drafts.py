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


def sources_of(hits: Sequence[Hit], limit: int = 3) -> tuple[Source, ...]:
    """Returns the distinct documents of the best hits, best first."""
    seen: Mapping[str, Hit] = {hit.doc_id: hit for hit in reversed(hits)}
    kept = list(dict.fromkeys(hit.doc_id for hit in hits))[:limit]
    return tuple(Source(title=seen[doc].title, uri=seen[doc].uri) for doc in kept)
